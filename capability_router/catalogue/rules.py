"""Which leaves and features the entries of LiteLLM's price map stand for, as tables.

Every model at a leaf is called in the same way: an OCR model has an endpoint of its own, so a chat
model that reads pictures stands at ``image-captioning`` and not beside it. A leaf may therefore be
asked without knowing who will answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from capability_router.engine.feature import Feature

__all__ = ["NO_MODEL", "NamedKind", "Rule", "features_of_kind", "kind_of", "leaves_of_kind"]

Row = Mapping[str, object]

NO_MODEL: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), reason)
    for pattern, reason in (
        (r"^(sample_spec|fallback_generalizations)$", "it describes the map, and is no model"),
        (r"^(together|fireworks)-ai-", "it is the price of a size, for models not in the map"),
        (r"(^|/)ft:", "it is the price of whatever you have tuned; name yours in an overlay"),
        (r"-commitment/", "it is the price of reserved capacity"),
        (r"(\d+|max)-x-(\d+|max)", "it is the price of one size or quality of a picture"),
        (r"/[a-z]{2}-(gov-)?[a-z]+-\d/", "it is the price in one region"),
        (
            r"^azure(_ai)?/(eu|us|global|global-standard|data-zone)/",
            "it is the price in one region",
        ),
        (r"^openai/container$", "it is the price of a sandbox, and no model"),
    )
)
"""Keys of the map that name no model, and what they name instead."""


@dataclass(frozen=True, slots=True)
class NamedKind:
    """A model that its name tells apart from others of its mode, or that has no use.

    Attributes:
        mode: The mode it has in the map.
        name: What its name has.
        kind: What it is; empty if it can be called by no endpoint that the map leads to.
        reason: Why it is left out, where ``kind`` is empty.
    """

    mode: str
    name: re.Pattern[str]
    kind: str
    reason: str = ""


def _named(mode: str, name: str, kind: str, reason: str = "") -> NamedKind:
    return NamedKind(mode, re.compile(name, re.IGNORECASE), kind, reason)


_NAMED = (
    # Guards answer "safe" or "unsafe" whatever they are asked, and would be the cheapest of chats.
    _named("chat", "guard", "guard"),
    _named("chat", "ocr", "document chat"),
    _named("chat", r"\bembed", "", "its name says embeddings, its mode chat"),
    _named("chat", "gpt-(4o-)?(mini-)?audio", "", "it refuses a request without sound"),
    _named("chat", "lyria", "", "it makes music, and its mode says chat"),
    _named("chat", r"\btts\b", "audio_speech"),
    _named("audio_speech", "lyria", "music"),
    _named("image_edit", "remove-background", "background removal"),
    _named("image_edit", "upscale|/(fast|conservative|creative)$", "upscaling"),
    _named("image_edit", "paint|erase|fill|expand|search-(and-)?re", "inpainting"),
    _named("image_generation", "/edit$", "image_edit"),
    _named("video_generation", "(image|reference)-to-video|-[ir]2v$", "animation"),
)

_CHAT = "chat"
_SCHEMA = ("supports_response_schema", "supports_native_structured_output")
_PICTURES = ("supports_vision", "supports_image_input")


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table.

    Attributes:
        kind: Kind of the models it is for.
        leaves: Last segments of the leaves that they get.
        flags: Fields of which one has to be true; empty for all models of that kind.
    """

    kind: str
    leaves: tuple[str, ...]
    flags: tuple[str, ...] = ()


_RULES = (
    # No field tells how well a model writes code or German: whoever follows instructions can be
    # asked for these, and a request for one of them would otherwise find nobody.
    Rule(_CHAT, ("chat-completion", "code-generation", "multi-turn-conversation")),
    Rule(_CHAT, ("summarization", "classification", "sentiment-analysis", "entity-extraction")),
    Rule(_CHAT, ("translation", "rewriting", "style-transfer")),
    Rule(_CHAT, ("tool-calling", "function-call-generation"), ("supports_function_calling",)),
    Rule(_CHAT, ("json-generation", "schema-constrained-output"), _SCHEMA),
    Rule(_CHAT, ("image-captioning",), _PICTURES),
    Rule(_CHAT, ("document-parsing",), ("supports_pdf_input",)),
    Rule(_CHAT, ("video-captioning",), ("supports_video_input",)),
    Rule(_CHAT, ("grounded-generation",), ("supports_web_search",)),
    Rule(_CHAT, ("computer-use",), ("supports_computer_use",)),
    Rule("document chat", ("document-parsing",)),
    Rule("guard", ("toxicity-detection",)),
    Rule("completion", ("text-completion",)),
    Rule("realtime", ("realtime-conversation",)),
    Rule("embedding", ("text-embeddings",)),
    Rule(
        "embedding",
        ("multimodal-embeddings",),
        ("supports_embedding_image_input", "supports_image_input"),
    ),
    Rule("rerank", ("reranking",)),
    Rule("search", ("web-search",)),
    Rule("ocr", ("ocr",)),
    Rule("extraction", ("form-extraction",)),
    Rule("audio_transcription", ("speech-to-text",)),
    Rule("audio_speech", ("text-to-speech",)),
    Rule("music", ("music-generation",)),
    Rule("image_generation", ("text-to-image",)),
    Rule("image_edit", ("image-to-image",)),
    Rule("inpainting", ("inpainting",)),
    Rule("background removal", ("background-removal",)),
    Rule("upscaling", ("upscaling",)),
    Rule("video_generation", ("text-to-video",)),
    Rule("animation", ("image-to-video",)),
    Rule("moderation", ("content-moderation",)),
    Rule("guardrail", ("content-moderation",)),
    Rule("evaluation", ("quality-scoring",)),
)

_RULES_OF: dict[str, list[Rule]] = {}
for _rule in _RULES:
    _RULES_OF.setdefault(_rule.kind, []).append(_rule)

_FLAGS: tuple[tuple[Feature, tuple[str, ...]], ...] = (
    (Feature.TOOL_CALLING, ("supports_function_calling",)),
    (Feature.TOOL_CHOICE, ("supports_tool_choice",)),
    (Feature.STRUCTURED_OUTPUT, _SCHEMA),
    # The map has no field for it; whoever keeps to a schema writes JSON.
    (Feature.JSON_MODE, _SCHEMA),
    (Feature.VISION, (*_PICTURES, "supports_embedding_image_input")),
    (Feature.AUDIO_INPUT, ("supports_audio_input",)),
    (Feature.PDF_INPUT, ("supports_pdf_input",)),
    (Feature.VIDEO_INPUT, ("supports_video_input",)),
    (Feature.REASONING, ("supports_reasoning",)),
    (Feature.ASSISTANT_PREFILL, ("supports_assistant_prefill",)),
)

_BY_NATURE: Mapping[str, frozenset[Feature]] = {
    "ocr": frozenset({Feature.VISION, Feature.PDF_INPUT}),
    "document chat": frozenset({Feature.VISION}),
    "audio_transcription": frozenset({Feature.AUDIO_INPUT}),
}
"""What a kind of model takes for what it is, whether the map says so or not."""

_STREAMING = frozenset({_CHAT, "completion", "guard", "document chat"})


def kind_of(name: str, row: Row) -> tuple[str, str]:
    """Tell what kind of model an entry is.

    Args:
        name: Its key in the map.
        row: Its fields.

    Returns:
        The kind and an empty text, or an empty text and why there is none.
    """
    mode = row.get("mode")
    if not isinstance(mode, str):
        return "", "it has no mode"
    for named in _NAMED:
        if named.mode == mode and named.name.search(name):
            return named.kind, named.reason
    # LiteLLM carries chat requests over to the other endpoint by this mode, and by nothing else.
    if mode == "responses":
        return _CHAT, ""
    if mode == _CHAT:
        return _kind_of_chat(row)
    return (mode, "") if mode in _RULES_OF else ("", f"no leaf stands for the mode {mode!r}")


def _kind_of_chat(row: Row) -> tuple[str, str]:
    told = row.get("supported_endpoints")
    endpoints = cast("list[object]", told) if isinstance(told, list) else []
    if not endpoints or "/v1/chat/completions" in endpoints:
        return _CHAT, ""
    if endpoints == ["/v1/realtime"]:
        return "realtime", ""
    return "", f"its mode is chat, and it is served at {', '.join(map(str, endpoints))} only"


def leaves_of_kind(kind: str, row: Row) -> Iterator[str]:
    """Yield the last segments of the leaves that a model of this kind has."""
    for rule in _RULES_OF[kind]:
        if not rule.flags or _has_one(row, rule.flags):
            yield from rule.leaves


def features_of_kind(kind: str, row: Row) -> frozenset[str]:
    """Return what a model of this kind is known to be able to do.

    A flag that is missing counts as no: the map has most of them only where they are true.
    """
    found = {feature for feature, flags in _FLAGS if _has_one(row, flags)}
    if kind in _STREAMING and row.get("supports_native_streaming") is not False:
        found.add(Feature.STREAMING)
    return frozenset(found | _BY_NATURE.get(kind, frozenset()))


def _has_one(row: Row, flags: tuple[str, ...]) -> bool:
    return any(row.get(flag) is True for flag in flags)
