"""Capability pools as a LangChain chat model.

>>> from langchain_capability_router import ChatCapabilityRouter

LiteLLM is imported with the first model that is called through it, not before.
"""

from langchain_capability_router.chat import ChatCapabilityRouter
from langchain_capability_router.errors import (
    AllChatModelsFailedError,
    ChatStreamInterruptedError,
    NoAvailableChatModelError,
)

__all__ = [
    "AllChatModelsFailedError",
    "ChatCapabilityRouter",
    "ChatStreamInterruptedError",
    "NoAvailableChatModelError",
]
