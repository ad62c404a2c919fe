"""Why an answer ended, under the names that chat models have for it.

Knows no request and no router: what follows from it is decided elsewhere.
"""

from __future__ import annotations

from langchain_core.outputs import ChatGeneration, ChatGenerationChunk

__all__ = ["ended_by_itself", "ended_with_an_error", "is_last"]

_KEYS = ("finish_reason", "stop_reason", "done_reason", "stopReason", "status")

_BY_ITSELF = frozenset({"complete", "completed", "end_turn", "eos", "stop"})


def is_last(chunk: ChatGenerationChunk) -> bool:
    """Return whether a chunk says that the answer ends with it, but for the usage."""
    position = getattr(chunk.message, "chunk_position", None)
    return position == "last" or _reason(chunk) is not None


def ended_by_itself(generation: ChatGeneration) -> bool:
    """Return whether an answer ended because the model had nothing more to say."""
    return str(_reason(generation)).lower() in _BY_ITSELF


def ended_with_an_error(generation: ChatGeneration) -> bool:
    """Return whether an answer ended because whoever gave it failed.

    OpenRouter says so within a 200, with whatever text there was before.
    """
    return _reason(generation) == "error"


def _reason(generation: ChatGeneration) -> object | None:
    for told in (generation.generation_info or {}, generation.message.response_metadata):
        for key in _KEYS:
            if told.get(key):
                reason: object = told[key]
                return reason
    return None
