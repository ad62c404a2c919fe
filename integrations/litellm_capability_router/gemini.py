"""Whether a stream of Gemini was ended by Google, or cut.

LiteLLM gives each of its chunks a ``stop`` and keeps nothing of what was sent, so the chunks are
looked at before LiteLLM reads them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from inspect import isawaitable
from typing import Any

__all__ = ["was_cut", "with_end_noted"]

_ENDED = "google_has_ended_it"


def with_end_noted(stream: Any) -> Any:
    """Let a stream of LiteLLM that has not begun note whether Google ends it; return it.

    Any other stream stays as it is.
    """
    make = getattr(stream, "make_call", None)
    if make is None or getattr(stream, "custom_llm_provider", None) not in _GOOGLES:
        return stream

    def noting(**arguments: Any) -> Any:
        source = make(**arguments)
        return _awaited(stream, source) if isawaitable(source) else _noted(stream, source)

    stream.make_call = noting
    return stream


def was_cut(stream: Any) -> bool:
    """Return whether a stream of Gemini has ended without a finish reason of Google's.

    Google's API says of a candidate's ``finishReason``: where it is empty, the model has not
    stopped.
    """
    return getattr(stream, _ENDED, None) is False


_GOOGLES = frozenset({"gemini", "vertex_ai", "vertex_ai_beta"})


async def _awaited(stream: Any, source: Awaitable[Any]) -> Any:
    return _noted(stream, await source)


def _noted(stream: Any, source: Any) -> Any:
    # Other makers' models at Google's have streams in their own form.
    if "gemini" not in type(source).__module__:
        return source
    parse = source.chunk_parser
    setattr(stream, _ENDED, False)

    def parsing(chunk: Mapping[str, Any]) -> Any:
        if _ends(chunk):
            setattr(stream, _ENDED, True)
        return parse(chunk)

    source.chunk_parser = parsing
    return source


def _ends(chunk: Mapping[str, Any]) -> bool:
    feedback: Mapping[str, Any] = chunk.get("promptFeedback") or {}
    candidates: list[Mapping[str, Any]] = chunk.get("candidates") or []
    return "blockReason" in feedback or any(each.get("finishReason") for each in candidates)
