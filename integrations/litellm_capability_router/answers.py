"""LiteLLM's answers: is this one complete, what did it use, and what does an exception mean?

Knows LiteLLM's response objects; not how a call is made.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from json import JSONDecodeError
from math import inf
from traceback import walk_tb
from typing import Any

from capability_router.completeness import OTHER_PARTS, breaks_off, check_complete
from capability_router.engine.errors import IncompleteAnswerError
from capability_router.engine.outcome import Failure, FailureKind, Usage
from capability_router.engine.steps import Try
from capability_router.failures import causes, failure_of, response_headers
from capability_router.usages import usage_of
from litellm_capability_router.endings import was_cut

__all__ = [
    "LiteLLMJudge",
    "LiteLLMWatch",
    "aclosed",
    "as_cost",
    "check_answer",
    "check_finish",
    "checked_usage",
    "closed",
    "failure_of_litellm",
    "finishes",
    "is_of_litellm",
    "source_of",
    "tells_usage_only",
]


_NO_SUCH_VENDOR = "LLM Provider NOT provided"
"""What LiteLLM says, as a 400 of its own, of a vendor that it does not know."""

_NO_JSON = "is not JSON serializable"

# What LiteLLM says, and the statuses it makes up, of a page where an answer should be.
_UNREAD = ("Empty or invalid response", "Unexpected string response", "no attribute 'model_dump'")
_MADE_UP = frozenset({422, 500})

# Raised before any request was sent: by LiteLLM, and here.
_UNSENT = frozenset({"UnsupportedParamsError", "NoDeploymentError"})

_STUMBLES = (AttributeError, LookupError, TypeError)

# LiteLLM's functions that read an answer.
_READS = re.compile("(transform|convert).*response")

# What LiteLLM makes of both a lost connection and an error within a stream.
_LOST = frozenset({FailureKind.SERVER_ERROR, FailureKind.CONNECTION})

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
    if type(root).__name__ in _UNSENT:
        # LiteLLM's says 400, but nothing was sent: the next model may do.
        return replace(failure, kind=FailureKind.UNSUPPORTED)
    if _headers_of(root) is not None:
        kind = _kind_with_response(root, failure)
    else:
        kind = _kind_without_response(root, failure)
    return failure if kind is None else replace(failure, kind=kind, status=None)


def _kind_with_response(error: BaseException, failure: Failure) -> FailureKind | None:
    """Name a whole answer that LiteLLM could not read; it blames some on the caller, as 422."""
    unread = any(isinstance(cause, JSONDecodeError) for cause in causes(error))
    return FailureKind.PROTOCOL if unread and failure.status in _MADE_UP else None


def _kind_without_response(error: BaseException, failure: Failure) -> FailureKind | None:
    """Name what LiteLLM reports of its own accord; None if the failure is named rightly."""
    if _NO_SUCH_VENDOR in str(error):
        # The configuration is to blame, not the caller, and other models may be well.
        return FailureKind.NOT_FOUND
    if _was_unsendable(error):
        return FailureKind.INVALID_REQUEST
    if _could_not_be_raised(error):
        return FailureKind.SERVER_ERROR
    if any(words in str(error) for words in _UNREAD):
        return FailureKind.PROTOCOL
    if _stumbled(error):
        return FailureKind.PROTOCOL if _was_reading(error) else FailureKind.UNSUPPORTED
    if failure.kind in _LOST and failure.status in (None, 500):
        return FailureKind.SERVER_ERROR if _was_told(error) else FailureKind.CONNECTION
    return None


def _could_not_be_raised(error: BaseException) -> bool:
    """Whether LiteLLM broke while making its exception: it takes a code in words for a status."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    return bool(frames) and frames[-1].f_globals.get("__name__") == "litellm.exceptions"


def _stumbled(error: BaseException) -> bool:
    """Whether LiteLLM tripped over what it was to write down, or to read, of one vendor."""
    *_, bottom = causes(error)
    return isinstance(bottom, _STUMBLES) and not isinstance(bottom, OSError)


def _was_reading(error: BaseException) -> bool:
    """Whether it stumbled over the answer."""
    *_, bottom = causes(error)
    frames = (frame for frame, _ in walk_tb(bottom.__traceback__))
    return any(_READS.search(frame.f_code.co_name) for frame in frames)


def _was_told(error: BaseException) -> bool:
    """Whether an error came as an event of a stream: no lost connection lies beneath it."""
    *_, bottom = causes(error)
    return type(bottom).__name__ == "APIError" or type(bottom).__module__.startswith(
        "litellm.llms."
    )


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

    def usage(self, answer: object, step: Try) -> Usage:
        """Return the tokens of the answer to a step, and what it cost where LiteLLM knows it.

        Raises:
            IncompleteAnswerError: If it is none, as in ``check_answer``.
        """
        del step
        return checked_usage(answer)


def checked_usage(answer: object) -> Usage:
    """Return the tokens of an answer, and what it cost where LiteLLM knows it.

    Raises:
        IncompleteAnswerError: If it is none, as in ``check_answer``.
    """
    check_answer(answer)
    return replace(usage_of(answer), cost_usd=_cost_usd(answer))


class LiteLLMWatch:
    """Follows the chunks of one stream."""

    def __init__(self) -> None:
        self.text = ""
        self.usage = Usage()
        self.committed = False
        self.finished = False
        self._is_empty = False

    @property
    def complete(self) -> bool:
        """True once the provider has said that the answer ends.

        An end alone is nothing: a model that has chosen to say nothing has taken a token for it.
        """
        something = self.committed or self.usage.output_tokens
        return self.finished and bool(something or not self._is_empty)

    def take(self, chunk: Any) -> None:
        """Note one chunk, or one event of another endpoint."""
        choices = getattr(chunk, "choices", None)
        if getattr(chunk, "usage", None):
            self.usage = usage_of(chunk)
        if choices is None:
            self._take_event(chunk)
            return
        for choice in choices:
            text = _text(choice)
            self.text += text
            self.committed = self.committed or bool(text) or _has_more_than_text(choice)
            if not breaks_off(choice.finish_reason):
                self.finished = True
                self._is_empty = choice.finish_reason == "stop"

    def failure(self, error: Exception) -> Failure:
        """Name what an exception means."""
        return failure_of_litellm(error)

    def _take_event(self, event: Any) -> None:
        """Note an event of the Responses API; what is none of these either is taken as it is."""
        kind = getattr(event, "type", None)
        if not isinstance(kind, str):
            self.committed = self.finished = True
            return
        self.committed = self.committed or kind.endswith(".delta")
        if kind.endswith("output_text.delta"):
            self.text += str(event.delta)
        answered = getattr(event, "response", None)
        if kind in _LAST_EVENTS:
            self.finished = True
            self._is_empty = not getattr(answered, "output", None) and kind == "response.completed"
        if getattr(answered, "usage", None):
            self.usage = usage_of(answered)


def check_answer(answer: object) -> None:
    """Refuse an answer that is none, as in ``check_complete``, or that LiteLLM calls finished.

    Raises:
        IncompleteAnswerError: If it says of itself that it is incomplete.
    """
    check_complete(answer)
    if any(map(_has_failed, getattr(answer, "choices", None) or ())):
        raise IncompleteAnswerError


def as_cost(value: object) -> float | None:
    """Return US dollars that LiteLLM states, >= 0; None for what is no sum of money."""
    if isinstance(value, int | float) and 0 <= value < inf:
        return float(value)
    return None


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
    if was_cut(stream) or (not any(noted) and not any(map(finishes, reversed(kept)))):
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
        # Chat streams have the connection under one name, the others under the other.
        inner = getattr(stream, "completion_stream", None) or getattr(stream, "response", None)
        close = getattr(inner, "close", None)
        if close is not None:
            close()


def source_of(stream: Any) -> Any:
    """Return the stream that notes what the provider has sent, where others are around it.

    Text completions come through generators that keep it among their variables.
    """
    inner = stream
    while inner is not None and not hasattr(inner, "chunks"):
        frame = getattr(inner, "gi_frame", None) or getattr(inner, "ag_frame", None)
        kept = (
            list(frame.f_locals.values()) if frame else [getattr(inner, "completion_stream", None)]
        )
        inner = next((each for each in kept if hasattr(each, "chunks") or _is_stream(each)), None)
    return stream if inner is None else inner


def _is_stream(value: object) -> bool:
    return isinstance(value, Generator | AsyncGenerator) or hasattr(value, "completion_stream")


def finishes(chunk: Any) -> bool:
    """Return whether a chunk claims to end the answer."""
    choices = getattr(chunk, "choices", None) or ()
    return any(not breaks_off(choice.finish_reason) for choice in choices)


def _has_failed(choice: Any) -> bool:
    """Whether a vendor has failed within a 200; LiteLLM notes it beside a finish of its own."""
    noted: Mapping[str, Any] = getattr(choice, "provider_specific_fields", None) or {}
    return "error" in noted or breaks_off(noted.get("native_finish_reason", "stop"))


def tells_usage_only(chunk: Any) -> bool:
    """Return whether a chunk is there for nothing but the usage."""
    if not usage_of(chunk).total_tokens or finishes(chunk):
        return False
    choices = getattr(chunk, "choices", None) or ()
    return not any(_text(choice) or _has_more_than_text(choice) for choice in choices)


def _text(choice: Any) -> str:
    """Return the text of a choice, of a chat completion or of a text completion."""
    delta = getattr(choice, "delta", choice)
    return getattr(delta, "content", None) or getattr(choice, "text", None) or ""


def _has_more_than_text(choice: Any) -> bool:
    delta = getattr(choice, "delta", choice)
    return any(getattr(delta, part, None) for part in OTHER_PARTS)


def _cost_usd(answer: object) -> float | None:
    """Return what LiteLLM has worked out that an answer cost; None where it knows no price."""
    hidden: Any = getattr(answer, "_hidden_params", None) or {}
    return as_cost(hidden.get("response_cost"))


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
