"""What an answer has to hold for what was asked, where it does not say so itself.

Knows requests and LiteLLM's answers to them; not whether an answer says of itself that it is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from capability_router.completeness import breaks_off
from capability_router.usages import entries_of, field_of

__all__ = ["holds_enough"]


def holds_enough(endpoint: str, answer: Any, asked: Mapping[str, Any]) -> bool:
    """Return whether an answer holds all that was asked for, as far as that can be counted.

    A silent recording has an empty text, and a provider may make fewer pictures than ``n``.

    Args:
        endpoint: Name of LiteLLM's sync function.
        answer: What it returned.
        asked: The arguments of the request.
    """
    check = _CHECKS.get(endpoint)
    return check is None or check(answer, asked)


def _has_message(answer: Any, asked: Mapping[str, Any]) -> bool:
    # LiteLLM passes on whatever came, which need not look like a message.
    content = field_of(answer, "content")
    return isinstance(content, list) and not breaks_off(field_of(answer, "stop_reason"))


def _has_vectors(answer: Any, asked: Mapping[str, Any]) -> bool:
    return len(entries_of(answer, "data")) >= _inputs(asked)


def _has_pictures(answer: Any, asked: Mapping[str, Any]) -> bool:
    entries = entries_of(answer, "data")
    return bool(entries) and all(
        field_of(entry, "b64_json") or field_of(entry, "url") for entry in entries
    )


def _has_sound(answer: Any, asked: Mapping[str, Any]) -> bool:
    content = getattr(answer, "content", None)
    return not isinstance(content, bytes) or bool(content)


def _has_words(answer: Any, asked: Mapping[str, Any]) -> bool:
    return getattr(answer, "text", "") is not None


def _has_ranks(answer: Any, asked: Mapping[str, Any]) -> bool:
    count = len(entries_of(asked, "documents"))
    top = asked.get("top_n")
    # Without a number some vendors have one of their own.
    wanted = min(count, top if isinstance(top, int) else 1)
    return len(entries_of(answer, "results")) >= wanted


def _has_judgements(answer: Any, asked: Mapping[str, Any]) -> bool:
    return len(entries_of(answer, "results")) >= _inputs(asked)


def _has_pages(answer: Any, asked: Mapping[str, Any]) -> bool:
    return bool(entries_of(answer, "pages"))


_CHECKS: Mapping[str, Callable[[Any, Mapping[str, Any]], bool]] = {
    "anthropic_messages": _has_message,
    "embedding": _has_vectors,
    "image_generation": _has_pictures,
    "image_edit": _has_pictures,
    "speech": _has_sound,
    "transcription": _has_words,
    "rerank": _has_ranks,
    "moderation": _has_judgements,
    "ocr": _has_pages,
}


def _inputs(asked: Mapping[str, Any]) -> int:
    """Count the inputs, at least 1: parts of one input, or of texts and pictures, are one."""
    given = entries_of(asked, "input")
    are_texts = all(isinstance(each, str) and not each.startswith(_MEDIA) for each in given)
    are_tokens = all(isinstance(each, list) for each in given)
    return len(given) if given and (are_texts or are_tokens) else 1


_MEDIA = ("data:", "gs://", "s3://", "http://", "https://")
"""How a text begins that stands for a picture, which may share a vector with a text beside it."""
