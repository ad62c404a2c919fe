"""Ask one OpenAI-compatible provider which models it serves; what it says is not trusted."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, cast

from capability_router.catalogue.vendors import VENDORS
from capability_router.clock import WaitingClock
from capability_router.engine.model import Provider

if TYPE_CHECKING:
    import httpx

__all__ = ["UnlistedError", "served_models"]

_LARGEST = 10_000_000
"""Bytes: as many models as are read, at a kilobyte each."""
_MOST_MODELS = 10_000
_LONGEST_ID = 200


class UnlistedError(Exception):
    """A provider gave no list of models; the message says why, and has nothing of its answer."""


def served_models(
    provider: Provider,
    *,
    clock: WaitingClock,
    timeout_s: float,
    environ: Mapping[str, str] | None = None,
) -> list[str]:
    """Return the names of the models that a provider says it serves.

    Args:
        provider: Whom to ask, at its ``base_url`` or at the address that is known of its vendor.
        clock: Tells how long it takes.
        timeout_s: Seconds that all of it may take, > 0.
        environ: Where the vendor's key is if the provider has none; None for the process's
            environment. A provider with an address of its own is never sent that key.

    Raises:
        UnlistedError: If it gives no list.
        ImportError: If httpx is not installed.
    """
    httpx = _httpx()
    address, key = _reached(provider, os.environ if environ is None else environ)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with (
            httpx.Client(timeout=timeout_s, headers=headers) as client,
            client.stream("GET", address) as response,
        ):
            if response.status_code != 200:
                raise UnlistedError(f"answered with status {response.status_code}")
            body = _body(response, clock, clock.now() + timeout_s)
    except httpx.TimeoutException:
        raise _too_late(timeout_s) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # Not the text of the error: it may hold what the provider sent.
        raise UnlistedError(f"cannot be asked: {type(error).__name__}") from None
    return _names(body)


def _httpx() -> ModuleType:
    try:
        import httpx  # noqa: PLC0415 - belongs to an extra
    except ModuleNotFoundError as error:
        raise ImportError(
            "providers are asked with httpx, which is not installed: pip install"
            " 'capability-router[discovery]'",
            name="httpx",
        ) from error
    return httpx


def _reached(provider: Provider, environ: Mapping[str, str]) -> tuple[str, str | None]:
    """Where a provider lists its models, and the key to show there."""
    vendor = VENDORS.get(provider.vendor)
    base, key = provider.base_url, provider.api_key
    if base is None:
        if vendor is None or vendor.url is None:
            raise UnlistedError(
                f"no OpenAI-compatible list of models is known of {provider.vendor}"
            )
        base, key = vendor.base_url(environ) or vendor.url, key or vendor.api_key(environ)
    path = "/models" if vendor is None else vendor.models_path
    return f"{base.rstrip('/')}{path}", None if key is None else key.reveal()


def _body(response: httpx.Response, clock: WaitingClock, until: float) -> bytes:
    body = bytearray()
    for part in response.iter_bytes():
        body += part
        if len(body) > _LARGEST:
            raise UnlistedError(f"sent more than {_LARGEST:,} bytes")
        # Each byte may come in time, and the last one never.
        if clock.now() > until:
            raise UnlistedError("sent its list too slowly")
    return bytes(body)


def _too_late(timeout_s: float) -> UnlistedError:
    return UnlistedError(f"did not answer within {timeout_s:g} s")


def _names(body: bytes) -> list[str]:
    try:
        found: object = json.loads(body)
    except (ValueError, RecursionError):
        raise UnlistedError("answered with something that is no JSON") from None
    # Together sends the list itself, without the envelope that OpenAI puts around it.
    if isinstance(found, dict):
        found = cast("dict[str, object]", found).get("data")
    if not isinstance(found, list):
        raise UnlistedError("answered with JSON that is no list of models")
    items = cast("list[object]", found)
    if len(items) > _MOST_MODELS:
        raise UnlistedError(f"lists more than {_MOST_MODELS:,} models")
    return list(dict.fromkeys(_name(item) for item in items))


def _name(item: object) -> str:
    name = cast("dict[str, object]", item).get("id") if isinstance(item, dict) else None
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_ID or not name.isprintable():
        raise UnlistedError("lists a model without a usable id")
    # Google's names begin with what kind of resource they are.
    return name.removeprefix("models/") or name
