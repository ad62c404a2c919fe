"""LiteLLM's answers: is this one complete, what did it use, and what does an exception mean?

Knows LiteLLM's response objects; not how a call is made.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

from capability_router.engine.errors import IncompleteAnswerError
from capability_router.engine.outcome import Failure, FailureKind, Usage
from capability_router.failures import causes, failure_of, response_headers

__all__ = [
    "LiteLLMJudge",
    "LiteLLMWatch",
    "aclosed",
    "check_finish",
    "closed",
    "failure_of_litellm",
    "finishes",
    "is_of_litellm",
]


_NO_SUCH_VENDOR = "LLM Provider NOT provided"
"""What LiteLLM says, as a 400 of its own, of a vendor that it does not know."""

_NO_JSON = "is not JSON serializable"

_LAST_EVENTS = frozenset({"response.completed", "response.incomplete"})


def is_of_litellm(error: BaseException) -> bool:
    """Return whether an exception is one of LiteLLM's own classes."""
    return type(error).__module__.partition(".")[0] == "litellm"


def failure_of_litellm(error: BaseException) -> Failure:
    """Name what an exception of LiteLLM means.

    LiteLLM reports "500" where no response came at all, and its sync Router loses the cause; but
    it keeps the headers of every response that did come.
    """
    root = _root(error)
    failure = failure_of(root, _headers_of)
    if type(root).__name__ == "UnsupportedParamsError":
        # It says 400, but was raised before any request was sent: the next model may do.
        return replace(failure, kind=FailureKind.UNSUPPORTED)
    if _NO_SUCH_VENDOR in str(root) and _headers_of(root) is None:
        # The configuration is to blame, not the caller, and other models may be well.
        return replace(failure, kind=FailureKind.NOT_FOUND, status=None)
    if _headers_of(root) is None and _was_unsendable(root):
        return replace(failure, kind=FailureKind.INVALID_REQUEST, status=None)
    if failure.kind is FailureKind.SERVER_ERROR and _headers_of(root) is None:
        return replace(failure, kind=FailureKind.CONNECTION, status=None)
    return failure


def _was_unsendable(error: BaseException) -> bool:
    """Whether the request could not be written down: half a character, or what is no JSON."""
    return any(
        isinstance(cause, UnicodeEncodeError) or _NO_JSON in str(cause) for cause in causes(error)
    )


class LiteLLMJudge:
    """Reads complete answers of any endpoint."""

    def failure(self, error: Exception) -> Failure:
        """Name what an exception means."""
        return failure_of_litellm(error)

    def usage(self, answer: object) -> Usage:
        """Return the tokens of an answer.

        Raises:
            IncompleteAnswerError: If a chat completion has no finish reason.
        """
        choices = getattr(answer, "choices", None)
        if choices and getattr(choices[0], "finish_reason", "none") is None:
            raise IncompleteAnswerError
        return _usage(answer)


class LiteLLMWatch:
    """Follows the chunks of one stream."""

    def __init__(self) -> None:
        self.text = ""
        self.usage = Usage()
        self.committed = False
        self.complete = False

    def take(self, chunk: Any) -> None:
        """Note one chunk, or one event of another endpoint."""
        choices = getattr(chunk, "choices", None)
        if getattr(chunk, "usage", None):
            self.usage = _usage(chunk)
        if choices is None:
            self._take_event(chunk)
            return
        for choice in choices:
            delta = getattr(choice, "delta", choice)
            text = getattr(delta, "content", None) or getattr(choice, "text", None) or ""
            self.text += text
            self.committed = self.committed or bool(text) or _has_more_than_text(delta)
            self.complete = self.complete or choice.finish_reason is not None

    def failure(self, error: Exception) -> Failure:
        """Name what an exception means."""
        return failure_of_litellm(error)

    def _take_event(self, event: Any) -> None:
        """Note an event of the Responses API; what is none of these either is taken as it is."""
        kind = getattr(event, "type", None)
        if not isinstance(kind, str):
            self.committed = self.complete = True
            return
        self.committed = self.committed or kind.endswith(".delta")
        self.complete = self.complete or kind in _LAST_EVENTS
        answered = getattr(event, "response", None)
        if getattr(answered, "usage", None):
            self.usage = _usage(answered)


def check_finish(stream: Any) -> None:
    """Refuse an end that LiteLLM made up.

    LiteLLM ends a stream whose connection was cut with ``finish_reason="stop"`` of its own; only
    a reason that the provider sent does it note on its stream and add to the chunks that it keeps.

    Args:
        stream: The stream of ``litellm``, or the Router's around it, at its last chunk.

    Raises:
        IncompleteAnswerError: If the provider has not sent a finish reason.
    """
    if not hasattr(stream, "chunks"):
        # Not a chat stream: its finish reasons are the provider's.
        return
    noted = (getattr(stream, f"{how}_finish_reason", None) for how in ("received", "intermittent"))
    kept: list[Any] = getattr(stream, "chunks", None) or []
    if not any(noted) and not any(map(finishes, reversed(kept))):
        raise IncompleteAnswerError


@asynccontextmanager
async def aclosed(stream: Any) -> AsyncGenerator[Any]:
    """Close an async stream in the end, where it can be closed."""
    try:
        yield stream
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


@contextmanager
def closed(stream: Any) -> Generator[Any]:
    """Close the connection of a sync stream, which LiteLLM leaves to the garbage collector."""
    try:
        yield stream
    finally:
        close = getattr(getattr(stream, "completion_stream", None), "close", None)
        if close is not None:
            close()


def finishes(chunk: Any) -> bool:
    """Return whether a chunk claims to end the answer."""
    choices = getattr(chunk, "choices", None) or ()
    return any(choice.finish_reason is not None for choice in choices)


def _has_more_than_text(delta: Any) -> bool:
    return any(
        getattr(delta, part, None)
        for part in ("tool_calls", "function_call", "reasoning_content", "audio", "refusal")
    )


def _usage(answer: object) -> Usage:
    usage = getattr(answer, "usage", None)
    return Usage(
        input_tokens=_count(usage, "prompt_tokens", "input_tokens"),
        output_tokens=_count(usage, "completion_tokens", "output_tokens"),
    )


def _count(usage: object, *names: str) -> int:
    found = (getattr(usage, name, None) for name in names)
    return next((count for count in found if isinstance(count, int)), 0)


def _headers_of(error: BaseException) -> Mapping[str, str] | None:
    """Return the provider's headers; the response on LiteLLM's errors is one that it made up."""
    own: Mapping[str, str] | None = getattr(error, "litellm_response_headers", None)
    if own or not is_of_litellm(error):
        return own or response_headers(error)
    others = (response_headers(cause) for cause in causes(error) if not is_of_litellm(cause))
    return next((headers for headers in others if headers is not None), None)


def _root(error: BaseException) -> BaseException:
    """Unwrap the exception that LiteLLM puts around one from the middle of a stream."""
    original = getattr(error, "original_exception", None)
    return original if isinstance(original, BaseException) else error
