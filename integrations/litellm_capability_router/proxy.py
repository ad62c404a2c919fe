"""Gives LiteLLM's proxy capabilities to route by: ``litellm_settings.callbacks`` names ``plugin``.

Knows when the proxy makes and replaces its Router; what is attached to it is in ``attachment``.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy import proxy_server
from litellm.router import Router as LiteLLMRouter

from capability_router import CapabilityRouter, Catalogue
from litellm_capability_router.attachment import Attachment
from litellm_capability_router.proxy_configuration import configured_router
from litellm_capability_router.proxy_endpoints import endpoints
from litellm_capability_router.proxy_names import announce

__all__ = ["CapabilityPlugin", "plugin"]

plugin: CapabilityPlugin
"""The plugin of this process, made when the proxy first asks for it."""

_LOOK_EVERY_S = 0.01


class CapabilityPlugin(CustomLogger):
    """Keeps the proxy's Router attached, and tells who served.

    Args:
        router: The models and pools; the proxy's deployments join them.
        catalogue: Where is looked up what deployments do not declare; None for nowhere.
    """

    def __init__(self, router: CapabilityRouter, catalogue: Catalogue | None = None) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType] - LiteLLM leaves its parameters untyped
        self.router = router
        self._catalogue = catalogue
        self._attachment: Attachment | None = None

    def keep_attached(self, host: LiteLLMRouter | None) -> None:
        """Attach to a Router, unless that has been done; of an earlier one is let go.

        Args:
            host: The proxy's Router at the moment; None as long as it has none.

        Raises:
            KeyError: If a deployment declares a capability that the tree does not have.
            ValueError: If it is no leaf, or what a deployment declares cannot be.
        """
        before = self._attachment
        if host is None or (before is not None and before.host is host):
            return
        self._attachment = Attachment(host, self.router, self._catalogue, after=before)
        announce(self._attachment)

    def attach_when_there_is_a_router(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look for the proxy's Router until there is one: it loads its callbacks before."""
        if proxy_server.llm_router is None:
            loop.call_later(_LOOK_EVERY_S, self.attach_when_there_is_a_router, loop)
        else:
            self.keep_attached(proxy_server.llm_router)

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: Any
    ) -> dict[str, Any]:
        """Attach anew where the proxy has replaced its Router."""
        self.keep_attached(proxy_server.llm_router)
        return data

    async def async_post_call_response_headers_hook(
        self,
        data: dict[str, Any],
        user_api_key_dict: Any,
        response: object,
        request_headers: dict[str, str] | None = None,
        litellm_call_info: dict[str, object] | None = None,
    ) -> dict[str, str] | None:
        """Tell who served, and at which attempt."""
        hidden: Any = getattr(response, "_hidden_params", None)
        signature: dict[str, Any] | None = hidden.get("capability_router") if hidden else None
        if signature is None:
            return None
        failed = [attempt for attempt in signature["attempts"] if attempt["kind"] is not None]
        return {
            "x-capability-router-served-by": str(signature["served_by"]),
            "x-capability-router-attempts": str(len(failed) + 1),
        }


def installed_plugin() -> CapabilityPlugin:
    """Make the plugin from the configuration that the proxy is reading, and add its endpoints.

    Raises:
        ConfigurationError: If anything in the configuration is wrong; the proxy does not start.
    """
    catalogue = Catalogue.from_litellm()
    config = proxy_server.proxy_config.get_config_state()
    file = proxy_server.user_config_file_path
    made = CapabilityPlugin(configured_router(config, file, os.environ, catalogue), catalogue)
    proxy_server.app.include_router(endpoints(made.router))
    made.attach_when_there_is_a_router(asyncio.get_running_loop())
    return made


def __getattr__(name: str) -> object:
    if name != "plugin":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()["plugin"] = installed_plugin()
    return made
