"""What a model may be able to do beyond its capability."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from capability_router.engine.errors import nearest

__all__ = ["Feature", "features_of"]


class Feature(StrEnum):
    """What a model may be able to do beyond its capability; each equals its plain string."""

    STREAMING = "streaming"
    TOOL_CALLING = "tool_calling"
    TOOL_CHOICE = "tool_choice"
    STRUCTURED_OUTPUT = "structured_output"
    JSON_MODE = "json_mode"
    VISION = "vision"
    AUDIO_INPUT = "audio_input"
    PDF_INPUT = "pdf_input"
    VIDEO_INPUT = "video_input"
    REASONING = "reasoning"
    ASSISTANT_PREFILL = "assistant_prefill"


_ALL = frozenset(Feature)


def features_of(names: Collection[str]) -> frozenset[str]:
    """Return the features of these names.

    Raises:
        ValueError: If there is no such feature; it names the nearest.
    """
    if isinstance(names, str):
        raise ValueError(f"features {names!r} must be a list: [{names!r}]")  # noqa: TRY004 - one error for all that may be wrong with them
    features = frozenset(names)
    if not features <= _ALL:
        unknown = sorted(features - _ALL)
        near = nearest(unknown[0], sorted(_ALL))
        told = f"nearest: {', '.join(near)}" if near else f"there are: {', '.join(sorted(_ALL))}"
        raise ValueError(f"unknown feature {unknown[0]!r}; {told}")
    return features
