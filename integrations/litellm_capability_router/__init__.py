"""LiteLLM as a host: a Router that picks its deployments by capability.

Public names are imported on first use, because importing LiteLLM takes seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from litellm_capability_router.attachment import Attachment, attach
    from litellm_capability_router.deployments import capability_model_list
    from litellm_capability_router.errors import (
        CapabilityStreamError,
        CapabilityUnavailableError,
    )
    from litellm_capability_router.provider import CapabilityLLM, register_provider

__all__ = [
    "Attachment",
    "CapabilityLLM",
    "CapabilityStreamError",
    "CapabilityUnavailableError",
    "attach",
    "capability_model_list",
    "register_provider",
]

_HOMES = {
    "Attachment": "attachment",
    "CapabilityLLM": "provider",
    "CapabilityStreamError": "errors",
    "CapabilityUnavailableError": "errors",
    "attach": "attachment",
    "capability_model_list": "deployments",
    "register_provider": "provider",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name != "litellm":
            raise
        raise ImportError(
            "litellm is not installed; run: pip install 'capability-router[litellm]'"
        ) from error
    globals()[name] = value
    return value
