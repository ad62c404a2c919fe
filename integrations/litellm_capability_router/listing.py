"""The deployments that a LiteLLM Router lists, whichever of its two generations it is of.

Since 1.107 LiteLLM's Router has a registry and settings, and warns of the attributes it had before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["Deployed", "Listing"]

Deployed = Mapping[str, Any]
"""A deployment as it stands in a ``model_list``."""


class Listing:
    """What a Router lists at the moment; nothing is kept, because a Router may be changed.

    Args:
        host: The LiteLLM Router.
    """

    def __init__(self, host: Any) -> None:
        self._host = host
        self._has_registry = hasattr(host, "registry")

    def deployments(self) -> Sequence[Deployed]:
        """Return all of them."""
        found: Sequence[Deployed] = (
            self._host.registry().all() if self._has_registry else self._host.model_list
        )
        return found

    @property
    def mark(self) -> object:
        """Changes when deployments come or go."""
        if self._has_registry:
            return self._host.registry().version
        listed = self._host.model_list
        return id(listed), len(listed), id(listed[-1]) if listed else None

    def deployment(self, model_id: str) -> Deployed | None:
        """Return the one with this id; None if there is none."""
        found: Deployed | None = (
            self._host.registry().deployment_dict(model_id)
            if self._has_registry
            else self._host.get_model_info(model_id)
        )
        return found

    @property
    def aliases(self) -> dict[str, Any]:
        """Names that stand for a group: the Router's own mapping, to be read and changed."""
        found: dict[str, Any] = (
            self._host.registry().aliases() if self._has_registry else self._host.model_group_alias
        )
        return found

    @property
    def defaults(self) -> dict[str, Any]:
        """Arguments that each call gets where neither it nor its deployment has them."""
        found: dict[str, Any] | None = (
            self._host.settings().default_litellm_params
            if self._has_registry
            else self._host.default_litellm_params
        )
        return found or {}

    @property
    def timeout(self) -> Any:
        """Seconds that the Router gives each call; None or an object if that is no number."""
        return getattr(self._host, "timeout", None)
