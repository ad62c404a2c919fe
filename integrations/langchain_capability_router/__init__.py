"""Capability pools as a LangChain chat model.

>>> from langchain_capability_router import ChatCapabilityRouter

LiteLLM is imported with the first model that is called through it, not before.
"""

try:
    from langchain_capability_router.chat import ChatCapabilityRouter
    from langchain_capability_router.errors import (
        AllChatModelsFailedError,
        ChatStreamInterruptedError,
        NoAvailableChatModelError,
    )
except ModuleNotFoundError as error:
    if error.name != "langchain_core":
        raise
    raise ImportError(
        "langchain-core is not installed; run: pip install 'capability-router[langchain]'"
    ) from error

__all__ = [
    "AllChatModelsFailedError",
    "ChatCapabilityRouter",
    "ChatStreamInterruptedError",
    "NoAvailableChatModelError",
]
