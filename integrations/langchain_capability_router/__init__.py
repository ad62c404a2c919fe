"""Capability pools as LangChain's chat model, embeddings, reranker and moderator.

>>> from langchain_capability_router import ChatCapabilityRouter

Middleware for agents, which needs ``langchain``, is in ``langchain_capability_router.middleware``.

LiteLLM is imported with the first model that is called through it, not before.
"""

try:
    from langchain_capability_router.chat import ChatCapabilityRouter
    from langchain_capability_router.embeddings import CapabilityRouterEmbeddings
    from langchain_capability_router.errors import (
        AllChatModelsFailedError,
        ChatStreamInterruptedError,
        NoAvailableChatModelError,
    )
    from langchain_capability_router.judgements import Moderation
    from langchain_capability_router.moderation import CapabilityModerator, FlaggedError
    from langchain_capability_router.reranking import CapabilityReranker
    from langchain_capability_router.vector_spaces import VectorSpaceError
except ModuleNotFoundError as error:
    if error.name != "langchain_core":
        raise
    raise ImportError(
        "langchain-core is not installed; run: pip install 'capability-router[langchain]'"
    ) from error

__all__ = [
    "AllChatModelsFailedError",
    "CapabilityModerator",
    "CapabilityReranker",
    "CapabilityRouterEmbeddings",
    "ChatCapabilityRouter",
    "ChatStreamInterruptedError",
    "FlaggedError",
    "Moderation",
    "NoAvailableChatModelError",
    "VectorSpaceError",
]
