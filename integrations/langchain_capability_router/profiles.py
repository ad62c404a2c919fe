"""What models can do: LangChain's profiles and this project's features, one from the other.

Knows names and numbers only; asks no provider.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

from langchain_core.language_models import BaseChatModel, ModelProfile

from capability_router.engine.feature import Feature
from capability_router.engine.model import Model

__all__ = ["joint_profile", "known_by_profile"]

_FEATURES = {
    "tool_calling": Feature.TOOL_CALLING,
    "tool_choice": Feature.TOOL_CHOICE,
    "structured_output": Feature.STRUCTURED_OUTPUT,
    "image_inputs": Feature.VISION,
    "pdf_inputs": Feature.PDF_INPUT,
    "audio_inputs": Feature.AUDIO_INPUT,
    "video_inputs": Feature.VIDEO_INPUT,
    "reasoning_output": Feature.REASONING,
}
_LIMITS = ("max_input_tokens", "max_output_tokens")


def _features_of(inner: BaseChatModel) -> frozenset[str] | None:
    """Return the features that the profile of a chat model does not deny; None if it has none.

    Profiles say nothing of streaming and of JSON mode. Streams come whole where a model has none,
    and JSON mode is taken to come with tools, as with all the large providers.
    """
    profile = cast("dict[str, Any]", inner.profile or {})
    if not profile:
        return None
    denied = {feature for name, feature in _FEATURES.items() if profile.get(name) is False}
    if Feature.TOOL_CALLING in denied:
        denied |= {Feature.TOOL_CHOICE, Feature.JSON_MODE}
    return frozenset({*_FEATURES.values(), Feature.JSON_MODE, Feature.STREAMING} - denied)


def known_by_profile(model: Model, inner: BaseChatModel) -> Model:
    """Return a model with what its chat model's profile tells of all that is not declared."""
    profile = cast("dict[str, Any]", inner.profile or {})
    features, window = model.features, model.context_window
    return replace(
        model,
        features=_features_of(inner) if features is None else features,
        context_window=profile.get("max_input_tokens") if window is None else window,
    )


def joint_profile(
    models: Iterable[Model], inner: Mapping[str, BaseChatModel]
) -> ModelProfile | None:
    """Return what holds whichever model is asked; None if nothing is known of any.

    They can do what every one of them can, and take as many tokens as the smallest. What is not
    known of one is left out, unless another is known to lack it.

    Args:
        models: The models that may be asked.
        inner: Chat models by model id, whose profiles tell what is not declared.
    """
    known: list[dict[str, Any]] = []
    for model in models:
        own = inner.get(model.id)
        told: Any = (own.profile if own is not None else None) or {}
        known.append({**told, **_declared(model)})
    names = sorted({name for profile in known for name in profile})
    joint = {name: _of_all(name, [profile.get(name) for profile in known]) for name in names}
    found = {name: value for name, value in joint.items() if value is not None}
    return cast("ModelProfile", found) or None


def _declared(model: Model) -> dict[str, Any]:
    profile: dict[str, Any] = {}
    if model.features is not None:
        profile |= {name: feature in model.features for name, feature in _FEATURES.items()}
    if model.context_window is not None:
        profile["max_input_tokens"] = model.context_window
    return profile


def _of_all(name: str, values: list[Any]) -> object:
    """Return what holds for all; None if that is not known, or makes no sense for several."""
    if name in _LIMITS:
        return min(value for value in values if value is not None)
    if False in values:
        return False
    return True if all(value is True for value in values) else None
