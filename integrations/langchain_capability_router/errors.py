"""Errors of both worlds: what client libraries raise, and what callers of chat models catch.

Knows the exceptions of LangChain, OpenAI's client, LiteLLM, httpx and aiohttp, by their attributes
where the library itself is not imported here; decides nothing that follows from a failure.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelError,
    ModelInvalidRequestError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
    ModelRateLimitError,
    ModelTimeoutError,
)

from capability_router import failures
from capability_router.engine.errors import (
    AllModelsFailedError,
    CapabilityRouterError,
    NoAvailableModelError,
    StreamInterruptedError,
)
from capability_router.engine.outcome import Failure, FailureKind
from litellm_capability_router.answers import failure_of_litellm, is_of_litellm

__all__ = [
    "AllChatModelsFailedError",
    "ChatStreamInterruptedError",
    "NoAvailableChatModelError",
    "UnsupportedByModelError",
    "as_model_errors",
    "failure_of",
]

_PASSING = frozenset(
    {
        FailureKind.RATE_LIMITED,
        FailureKind.OVERLOADED,
        FailureKind.SERVER_ERROR,
        FailureKind.TIMEOUT,
        FailureKind.STALLED,
        FailureKind.CONNECTION,
        FailureKind.PROTOCOL,
    }
)

# The first class that fits decides; all that is left of ModelError is the caller's own fault.
_MODEL_ERRORS: tuple[tuple[type[ModelError], FailureKind], ...] = (
    (ModelAuthenticationError, FailureKind.AUTH),
    (ModelPermissionDeniedError, FailureKind.AUTH),
    (ModelNotFoundError, FailureKind.NOT_FOUND),
    (ModelRateLimitError, FailureKind.RATE_LIMITED),
    (ModelTimeoutError, FailureKind.TIMEOUT),
    (ModelConnectionError, FailureKind.CONNECTION),
    (ModelAPIError, FailureKind.SERVER_ERROR),
)

# langchain-openai, and the many classes built on it, tell of an answer they cannot read with a
# plain ValueError or TypeError; without these beginnings it would look like the caller's fault.
_UNREADABLE = (
    "Unexpected response type from OpenAI-compatible endpoint",
    "Received response with null value for 'choices'",
)


class AllChatModelsFailedError(AllModelsFailedError, ModelError):
    """Every model that could be tried has failed; a ``ModelError`` of LangChain as well.

    ``attempts`` holds each try with its kind, status and the provider's own error; the last of
    these errors is the ``__cause__``. ``is_retryable`` is true if at least one of the models
    failed in a way that passes.
    """

    def __init__(self, error: AllModelsFailedError) -> None:
        super().__init__(
            error.capability,
            error.reasons,
            retry_after_s=error.retry_after_s,
            attempts=error.attempts,
            why=error.why,
        )
        self.is_retryable = any(attempt.kind in _PASSING for attempt in error.attempts)


class NoAvailableChatModelError(NoAvailableModelError, ModelError):
    """No model may be tried now; a ``ModelError`` of LangChain as well.

    ``is_retryable`` is true if a model comes back by itself, in ``retry_after_s`` seconds.
    """

    def __init__(self, error: NoAvailableModelError) -> None:
        super().__init__(
            error.capability,
            error.reasons,
            retry_after_s=error.retry_after_s,
            attempts=error.attempts,
        )
        self.is_retryable = error.retry_after_s is not None


class ChatStreamInterruptedError(StreamInterruptedError, ModelError):
    """A stream broke after part of the answer was handed out; a ``ModelError`` as well.

    ``partial_text`` holds the text handed out, ``attempts`` every attempt of the call.
    """

    is_retryable = True

    def __init__(self, error: StreamInterruptedError) -> None:
        super().__init__(error.partial_text, error.attempts)


class UnsupportedByModelError(CapabilityRouterError):
    """A chat model cannot do what the request needs; no provider was asked."""


@contextmanager
def as_model_errors() -> Generator[None, None, None]:
    """Raise the router's own errors as LangChain's.

    What a provider refuses as the caller's fault passes as it is. LiteLLM's errors, of which
    LangChain knows nothing, are made a ``ModelError`` besides: who catches either gets it.
    """
    try:
        yield
    except AllModelsFailedError as error:
        raise AllChatModelsFailedError(error) from error.__cause__
    except NoAvailableModelError as error:
        raise NoAvailableChatModelError(error) from error.__cause__
    except StreamInterruptedError as error:
        raise ChatStreamInterruptedError(error) from error.__cause__
    except Exception as error:
        if is_of_litellm(error) and not isinstance(error, ModelError):
            _become_model_error(error)
        raise


def failure_of(error: BaseException, *, provider_tools: bool = False) -> Failure:
    """Name what an exception of a chat model means; the HTTP status decides where there is one.

    Args:
        error: What was raised.
        provider_tools: Whether the request had tools that a provider runs itself. Clients send it
            to another address then, which only that provider has: a 404 says nothing of the model.

    Returns:
        A failure that keeps the exception. What no rule knows is ``invalid_request``: it would
        happen with any model, and none is blamed for it.
    """
    if is_of_litellm(error):
        return failure_of_litellm(error)
    if isinstance(error, AllModelsFailedError | NoAvailableModelError):
        # A model of this pool is a pool itself, of which nobody is left.
        return Failure(FailureKind.OVERLOADED, None, error.retry_after_s, str(error), error)
    found = failures.failure_of(error)
    if isinstance(error, ContextOverflowError):
        return replace(found, kind=FailureKind.CONTEXT_OVERFLOW)
    if isinstance(error, UnsupportedByModelError):
        return replace(found, kind=FailureKind.UNSUPPORTED)
    if provider_tools and found.kind is FailureKind.NOT_FOUND:
        return replace(found, kind=FailureKind.UNSUPPORTED)
    if found.kind is not FailureKind.INVALID_REQUEST or found.status is not None:
        return found
    return replace(found, kind=_kind_without_status(error))


def _become_model_error(error: Exception) -> None:
    """Let an error of LiteLLM be of LangChain's family too, as those of the partner packages are.

    The same object goes on, with its traceback and all that the provider said.
    """
    kind = failure_of_litellm(error).kind
    family: type[ModelError] = ModelInvalidRequestError
    if kind is FailureKind.CONTEXT_OVERFLOW:
        family = ContextOverflowError
    error.__class__ = _of_both(type(error), family)


_both: dict[tuple[type[Exception], type[ModelError]], type[Exception]] = {}


def _of_both(own: type[Exception], family: type[ModelError]) -> type[Exception]:
    found = _both.get((own, family))
    if found is None:
        told = {"__module__": own.__module__, "__doc__": own.__doc__}
        make: Any = type
        found = _both[own, family] = make(own.__name__, (own, family), told)
    return found


def _kind_without_status(error: BaseException) -> FailureKind:
    for cls, kind in _MODEL_ERRORS:
        if isinstance(error, cls):
            return kind
    if isinstance(error, ModelError) and error.is_retryable:
        return FailureKind.SERVER_ERROR
    return FailureKind.PROTOCOL if _is_unreadable(error) else FailureKind.INVALID_REQUEST


def _is_unreadable(error: BaseException) -> bool:
    if type(error) not in (ValueError, TypeError) or not error.args:
        return False
    told = error.args[0]
    # langchain-openai raises the provider's error object itself where one came with status 200.
    return told.startswith(_UNREADABLE) if isinstance(told, str) else True
