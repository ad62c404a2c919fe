"""Why an answer ended, under the names that chat models have for it.

Knows no request and no router: what follows from it is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from capability_router.completeness import breaks_off
from capability_router.engine.errors import IncompleteAnswerError

__all__ = [
    "always_tells",
    "check_ending",
    "ended_by_itself",
    "ended_with_an_error",
    "explains_nothing",
    "is_last",
    "tells_why",
]

_KEYS = ("finish_reason", "stop_reason", "done_reason", "stopReason", "status")

# Providers whose chat models, by ``response_metadata["model_provider"]``, always say why it ended.
_ALWAYS_FINISH = frozenset(
    {
        "anthropic",
        "azure",
        "bedrock",
        "bedrock_converse",
        "deepseek",
        "google_genai",
        "groq",
        "mistralai",
        "ollama",
        "openai",
        "openrouter",
        "xai",
    }
)

Told = Mapping[str, Any] | None

_BY_ITSELF = frozenset({"complete", "completed", "end_turn", "eos", "stop"})


def tells_why(generation: ChatGeneration) -> bool:
    """Return whether an answer, or a chunk, says why it ended."""
    return _reason(generation) is not None


def is_last(chunk: ChatGenerationChunk) -> bool:
    """Return whether a chunk says that the answer ends with it, but for the usage."""
    position = getattr(chunk.message, "chunk_position", None)
    return position == "last" or tells_why(chunk)


def ended_by_itself(generation: ChatGeneration, beside: Told = None) -> bool:
    """Return whether an answer ended because the model had nothing more to say.

    Args:
        generation: The answer, or a chunk.
        beside: What its library tells beside it, the ``llm_output`` of a whole answer.
    """
    return str(_reason(generation, beside)).lower() in _BY_ITSELF


def ended_with_an_error(generation: ChatGeneration, beside: Told = None) -> bool:
    """Return whether an answer ended because whoever gave it failed; as ``ended_by_itself``.

    OpenRouter says so within a 200, with whatever text there was before.
    """
    reason = _reason(generation, beside)
    return reason is not None and breaks_off(reason)


def check_ending(result: ChatResult) -> None:
    """Refuse a whole answer without a finish reason, of a provider that always gives one.

    Raises:
        IncompleteAnswerError: If it has none.
    """
    for generation in result.generations:
        tells = always_tells(generation, result.llm_output)
        if tells and _reason(generation, result.llm_output) is None:
            raise IncompleteAnswerError


def explains_nothing(generation: ChatGeneration, beside: Told = None) -> bool:
    """Return whether nothing is told that would explain an empty answer; as ``ended_by_itself``."""
    return _reason(generation, beside) is None or ended_by_itself(generation, beside)


def always_tells(generation: ChatGeneration, beside: Told = None) -> bool:
    """Return whether the provider always says why it ended; as ``ended_by_itself``."""
    named = {**(beside or {}), **generation.message.response_metadata}
    return named.get("model_provider") in _ALWAYS_FINISH


def _reason(generation: ChatGeneration, beside: Told = None) -> object | None:
    for told in (generation.generation_info, generation.message.response_metadata, beside):
        for key in _KEYS:
            if told and told.get(key):
                reason: object = told[key]
                return reason
    return None
