"""The endpoint for moderation: OpenAI's shape, and a list of words for a judge.

No judgement of anything: a text is flagged for a category if it has one of a few words in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from capability_router.lab.json_values import as_mapping, as_sequence
from capability_router.lab.refusals import invalid

__all__ = [
    "moderations_reply",
]

_DEFAULT_MODEL = "omni-moderation-latest"

_FLAGGED_SCORE, _CLEAN_SCORE = 0.99, 0.01

# OpenAI's categories; those without a word are never flagged.
_WORDS: Mapping[str, frozenset[str]] = {
    "harassment": frozenset({"idiot", "loser", "moron"}),
    "harassment/threatening": frozenset(),
    "hate": frozenset({"subhuman", "vermin"}),
    "hate/threatening": frozenset(),
    "illicit": frozenset({"burgle", "counterfeit", "shoplift"}),
    "illicit/violent": frozenset(),
    "self-harm": frozenset({"suicide"}),
    "self-harm/intent": frozenset(),
    "self-harm/instructions": frozenset(),
    "sexual": frozenset({"porn"}),
    "sexual/minors": frozenset(),
    "violence": frozenset({"kill", "murder", "stab"}),
    "violence/graphic": frozenset({"gore"}),
}


def moderations_reply(body: Mapping[str, object], identity: str) -> dict[str, object]:
    """Answer a moderation request.

    Args:
        body: OpenAI's request: ``input``, which is a text, a list of texts, or a list of parts
            (``text`` and ``image_url``), and optionally ``model``.
        identity: Id of the reply.

    Returns:
        OpenAI's reply: one result per text, or one for all parts together. A category is flagged,
        with a score of 0.99 instead of 0.01, if one of its words stands in the text; pictures are
        not looked at.

    Raises:
        RefusedError: With a 400, if a field is wrong.
    """
    model = body.get("model", _DEFAULT_MODEL)
    if not isinstance(model, str) or not model:
        raise invalid("'model' must be a non-empty text.", "model")
    results = [_result(text) for text in _texts(body.get("input"))]
    return {"id": identity, "model": model, "results": results}


def _result(text: str) -> dict[str, object]:
    found = set(re.findall(r"\w+", text.lower()))
    flags = {category: bool(words & found) for category, words in _WORDS.items()}
    return {
        "flagged": any(flags.values()),
        "categories": flags,
        "category_scores": {
            category: _FLAGGED_SCORE if flagged else _CLEAN_SCORE
            for category, flagged in flags.items()
        },
        "category_applied_input_types": {category: ["text"] for category in flags},
    }


def _texts(wanted: object) -> list[str]:
    if isinstance(wanted, str):
        return [wanted]
    items = as_sequence(wanted)
    if not items:
        raise invalid("'input' must be a text or a non-empty list.", "input")
    texts = [item for item in items if isinstance(item, str)]
    return texts if len(texts) == len(items) else [_joined(items)]


def _joined(parts: Sequence[object]) -> str:
    return " ".join(_part_text(as_mapping(part) or {}) for part in parts)


def _part_text(part: Mapping[str, object]) -> str:
    text, image = part.get("text"), as_mapping(part.get("image_url"))
    if part.get("type") == "text" and isinstance(text, str):
        return text
    if part.get("type") == "image_url" and image is not None and isinstance(image.get("url"), str):
        return ""
    raise invalid("'input' must hold texts, or parts with a 'text' or an 'image_url'.", "input")
