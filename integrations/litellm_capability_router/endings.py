"""Why an answer ended in the vendor's own words, which LiteLLM rewrites.

LiteLLM makes ``stop`` of a finish reason that is missing, of one that says ``error``, and of any
that it does not know; to every chunk of Gemini it gives a ``stop``. So what was sent is looked at
before LiteLLM reads it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from inspect import isawaitable
from typing import Any, cast

from capability_router.completeness import breaks_off
from capability_router.engine.errors import IncompleteAnswerError

__all__ = ["Original", "was_cut", "with_end_noted"]

_Json = Mapping[str, Any]

_ENDING = "ending_in_the_vendors_words"
_NONE = object()
"""In the place of a reason, where the vendor has to give one and has not."""

# Those for whom LiteLLM makes up an end. Other makers' models at Google's have streams in their own
# form.
_HAVE_TO_SAY = ("litellm.llms.anthropic.chat.", "gemini")


class Original:
    """Keeps what the provider has sent for one whole answer; LiteLLM calls it as a logger.

    Args:
        logger: The caller's own ``logger_fn``, which is told as well; None for none.
    """

    def __init__(self, logger: Callable[[dict[str, Any]], object] | None = None) -> None:
        self._logger = logger
        self._sent: object = None

    def __call__(self, details: dict[str, Any]) -> None:
        """Note the body; for some vendors LiteLLM logs its own answer once more after it."""
        sent = details.get("original_response")
        if self._sent is None and (isinstance(sent, str) or _is_of_openais_client(sent)):
            self._sent = sent
        if self._logger is not None:
            self._logger(details)

    def check(self, answer: Any) -> None:
        """Refuse a completion whose finish reason is not the provider's.

        What comes from a cache, or in a form that is not known, is taken as LiteLLM gives it.

        Raises:
            IncompleteAnswerError: If the provider has sent no finish reason, or an error.
        """
        if not hasattr(answer, "choices"):
            return
        if any(map(breaks_off, _reasons(_parsed(self._sent)))):
            raise IncompleteAnswerError


def with_end_noted(stream: Any) -> Any:
    """Let a stream of LiteLLM that has not begun note how its vendor ends it; return it.

    Any stream whose chunks are not LiteLLM's to read stays as it is.
    """
    make = getattr(stream, "make_call", None)
    if make is None:
        _note(stream, getattr(stream, "completion_stream", None))
        return stream

    def noting(**arguments: Any) -> Any:
        source = make(**arguments)
        return _awaited(stream, source) if isawaitable(source) else _note(stream, source)

    stream.make_call = noting
    return stream


def was_cut(stream: Any) -> bool:
    """Return whether a stream has ended without a finish reason of its vendor's.

    Google's API says of a candidate's ``finishReason``: where it is empty, the model has not
    stopped.
    """
    noted = getattr(stream, _ENDING, None)
    received = getattr(stream, "received_finish_reason", None)
    told = (each for each in (noted, received) if each is not None)
    return noted is _NONE or any(map(breaks_off, told))


async def _awaited(stream: Any, source: Awaitable[Any]) -> Any:
    return _note(stream, await source)


def _note(stream: Any, source: Any) -> Any:
    parse = getattr(source, "chunk_parser", None)
    if parse is None:
        return source
    if any(vendor in type(source).__module__ for vendor in _HAVE_TO_SAY):
        setattr(stream, _ENDING, _NONE)

    def parsing(chunk: _Json, *more: Any, **named: Any) -> Any:
        for reason in _reasons(chunk):
            if reason:
                setattr(stream, _ENDING, reason)
        return parse(chunk, *more, **named)

    source.chunk_parser = parsing
    return source


def _reasons(sent: Any) -> list[Any]:
    """Return the finish reasons in an answer or an event, None for one that is missing."""
    match sent:
        case {"choices": list()}:
            return [_reason(choice) for choice in sent["choices"]]
        case {"object": "chat.completion"}:
            return [None]
        case {"promptFeedback": {"blockReason": str()}}:
            return [sent["promptFeedback"]["blockReason"]]
        case {"candidates": list()}:
            return [_field(candidate, "finishReason") for candidate in sent["candidates"]]
        case {"type": "message"}:
            return [sent.get("stop_reason")]
        case {"type": "message_delta"}:
            return [_field(sent.get("delta"), "stop_reason")]
        case {"stopReason": _}:
            return [sent["stopReason"]]
        case _:
            return []


def _reason(choice: object) -> Any:
    """Return the finish reason of a choice; one whose message is null has none."""
    match choice:
        case {"message": None}:
            return None
        case _:
            return _field(choice, "finish_reason")


def _is_of_openais_client(sent: object) -> bool:
    return type(sent).__module__.startswith("openai.")


def _parsed(sent: Any) -> object:
    if _is_of_openais_client(sent):
        return sent.model_dump()
    try:
        return json.loads(sent or "null")
    except ValueError:
        # Not a body but what LiteLLM says of one.
        return None


def _field(value: object, name: str) -> Any:
    return cast("_Json", value).get(name) if isinstance(value, Mapping) else None
