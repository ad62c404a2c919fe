"""What one part of a configuration says about another.

Works on the plain document, so that one wrong section does not hide the mistakes of another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import cast
from urllib.parse import parse_qsl

from capability_router.catalogue.vendors import VENDORS
from capability_router.config.document import Document, KeyPath, listed, quoted
from capability_router.config.durations import parse_duration
from capability_router.config.references import is_reference
from capability_router.engine.deactivation import ErrorThreshold
from capability_router.engine.errors import nearest
from capability_router.engine.outcome import FailureKind
from capability_router.engine.recovery import Cooldown
from capability_router.storage.addresses import ON_SERVERS, SCHEMES, scheme_of

__all__ = ["blame_unpriced", "check"]

_LED = re.compile(r"\$\{[^}]*\}")
_PROVIDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class _Setting:
    """A number with the engine's default, and the unit in which that is shown."""

    key: str
    default: float
    unit: str = ""


_COOLDOWNS = (
    _Setting("cooldown", Cooldown().initial_s, "s"),
    _Setting("max_cooldown", Cooldown().max_s, "s"),
    "longer",
)
_OUTCOMES = (
    _Setting("min_requests", ErrorThreshold().min_requests),
    _Setting("of_last", ErrorThreshold().of_last),
    "more",
)


def check(document: Document) -> None:
    """Check all that takes two parts to see; what is wrong goes to the findings."""
    for provider in document.section("providers"):
        _check_provider(document, provider)
    for model in document.section("models"):
        _check_model(document, model)
        _check_price(document, ("models", model))
        _check_space(document, ("models", model, "vector_space"))
    for pool in document.section("pools"):
        _check_lists(document, pool)
        _check_maintenance(document, ("pools", pool, "deactivation", "maintenance"))
        _check_order(document, ("pools", pool, "recovery"), *_COOLDOWNS)
        _check_order(document, ("pools", pool, "deactivation"), *_OUTCOMES)
    for kind in document.section("faults"):
        _check_kind(document, kind)
    _check_state(document)


def _check_provider(document: Document, provider: str) -> None:
    if not _PROVIDER.fullmatch(provider):
        message = "the name of a provider is made of letters, digits, '.', '_' and '-'"
        document.blame_key(("providers", provider), message)
    path = ("providers", provider, "api_key")
    key = document.at(path)
    if key is not None and not is_reference(document.references.get(path, "")):
        message = (
            "an API key must not stand in this file; write ${env:NAME} and set that variable, or"
            " ${file:PATH}"
        )
        document.blame(path, message)
        document.findings.settle(path)


def _check_state(document: Document) -> None:
    path: KeyPath = ("state", "url") if document.section("state") else ("state",)
    address = document.at(path)
    scheme = scheme_of(address) if isinstance(address, str) else ""
    if scheme in ON_SERVERS and _holds_a_password(document.written(path)):
        message = (
            "a password must not stand in this file; write ${env:NAME} in its place and set that"
            " variable"
        )
        document.blame(path, message)
        document.findings.settle(path)
    if scheme in SCHEMES and scheme not in ON_SERVERS and "namespace" in document.section("state"):
        message = "a namespace is for servers; leave it out, and name a file for each"
        document.blame_key(("state", "namespace"), message)


def _holds_a_password(written: str) -> bool:
    """Whether an address holds a password itself, and not only a reference to one."""
    address, _, query = _LED.sub("", written).partition("://")[2].partition("?")
    given = [value for key, value in parse_qsl(query) if "password" in key]
    password = address.partition("/")[0].rpartition("@")[0].partition(":")[2]
    return bool(password or any(given))


def _check_model(document: Document, model: str) -> None:
    if document.is_broken("providers"):
        return
    path = ("models", model)
    provider, slash, name = model.partition("/")
    known = list(document.section("providers"))
    if not (provider and slash and name):
        message = f"a model is named provider/name, where the provider is one of {listed(known)}"
        document.blame_key(path, message)
    elif provider not in known and provider not in VENDORS:
        near = nearest(provider, known, most=1)
        message = f"the provider {quoted(provider)} is not declared under providers, which has: "
        document.blame_key(path, message + listed(known), f"{near[0]}/{name}" if near else None)


def _check_price(document: Document, path: KeyPath) -> None:
    # Whoever leaves the capabilities out has the price from the catalogue.
    if (*path, "price") in document.keys or (*path, "capabilities") not in document.keys:
        return
    blame_unpriced(document, path)


def blame_unpriced(document: Document, path: KeyPath) -> None:
    """Note limits in money of a model that has no price."""
    for section in ("limits", "quota"):
        if document.at((*path, section, "usd")) is not None:
            message = "money is counted by the model's price, and none is given"
            document.blame_key((*path, section, "usd"), message)


def _check_space(document: Document, path: KeyPath) -> None:
    if path in document.references:
        message = "messages show this, so it must not come from a reference; write it here"
        document.blame(path, message)


def _check_lists(document: Document, pool: str) -> None:
    for key in ("allowed_providers", "excluded_providers", "provider_priority"):
        _check_names(document, ("pools", pool, key), "providers")
    _check_names(document, ("pools", pool, "model_priority"), "models")


def _check_maintenance(document: Document, path: KeyPath) -> None:
    windows = document.at(path)
    count = len(cast("list[object]", windows)) if isinstance(windows, list) else 0
    for at in [(*path, place) for place in range(count)] or [path]:
        _check_names(document, (*at, "models"), "models")
        _check_names(document, (*at, "providers"), "providers")


def _check_names(document: Document, path: KeyPath, section: str) -> None:
    if document.is_broken(section):
        return
    others = document.elsewhere.get(section, ())
    known = [*document.section(section), *others]
    where = "none of the {0}, which are" if others else "not declared under {0}, which has"
    for at, name in document.names(*path):
        if name not in known:
            near = nearest(name, known, most=1)
            message = f"{quoted(document.written(at))} is {where.format(section)}: {listed(known)}"
            document.blame(at, message, near[0] if near else None)


def _check_order(
    document: Document, path: KeyPath, low: _Setting, high: _Setting, relation: str
) -> None:
    """The engine refuses such a pair as well, but in its own words and only when it is built."""
    first, last = _number(document, path, low), _number(document, path, high)
    if first is None or last is None or min(first, last) <= 0 or first <= last:
        return
    to_blame = low if document.at((*path, low.key)) is not None else high
    message = f"{low.key} is {_shown(document, path, low)}, {relation} than {high.key}, which is"
    document.blame((*path, to_blame.key), f"{message} {_shown(document, path, high)}")


def _number(document: Document, path: KeyPath, setting: _Setting) -> float | None:
    """The value of a setting; None if there is something else, which is reported elsewhere."""
    value = document.at((*path, setting.key))
    if value is None:
        return setting.default
    if not setting.unit:
        return value if isinstance(value, int) and not isinstance(value, bool) else None
    try:
        return parse_duration(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _shown(document: Document, path: KeyPath, setting: _Setting) -> str:
    at = (*path, setting.key)
    if document.at(at) is None:
        return f"{setting.default:g}{setting.unit} by default"
    return document.written(at)


def _check_kind(document: Document, kind: str) -> None:
    known = [str(each) for each in FailureKind]
    if kind not in known:
        near = nearest(kind, known, most=1)
        message = f"unknown kind of failure {quoted(kind)}; known: {listed(known)}"
        document.blame_key(("faults", kind), message, near[0] if near else None)
