"""What one part of a configuration says about another.

Works on the plain document, so that one wrong section does not hide the mistakes of another.
"""

from __future__ import annotations

import re

from capability_router import registry
from capability_router.config.document import Document, KeyPath, quoted
from capability_router.config.durations import parse_duration
from capability_router.engine.errors import nearest
from capability_router.engine.outcome import FailureKind
from capability_router.engine.recovery import Cooldown

__all__ = ["check"]

_PROVIDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_MOST_LISTED = 20
_WHOLE_REFERENCE = re.compile(r"\$\{env:[^}]*\}")


def check(document: Document) -> None:
    """Check all that takes two parts to see; what is wrong goes to the findings."""
    for provider in document.section("providers"):
        _check_provider(document, provider)
    for model in document.section("models"):
        _check_model(document, model)
    for pool in document.section("pools"):
        _check_lists(document, pool)
        _check_strategy(document, ("pools", pool, "strategy"))
        _check_cooldown(document, ("pools", pool, "recovery"))
    for kind in document.section("faults"):
        _check_kind(document, kind)


def _check_provider(document: Document, provider: str) -> None:
    if not _PROVIDER.fullmatch(provider):
        message = "the name of a provider is made of letters, digits, '.', '_' and '-'"
        document.blame_key(("providers", provider), message)
    path = ("providers", provider, "api_key")
    key = document.at(path)
    if key is not None and not _WHOLE_REFERENCE.fullmatch(document.references.get(path, "")):
        message = "an API key must not stand in this file; write ${env:NAME} and set that variable"
        document.blame(path, message)
        document.findings.settle(path)


def _check_model(document: Document, model: str) -> None:
    if document.is_broken("providers"):
        return
    path = ("models", model)
    provider, slash, name = model.partition("/")
    known = list(document.section("providers"))
    if not (provider and slash and name):
        message = f"a model is named provider/name, where the provider is one of {_list(known)}"
        document.blame_key(path, message)
    elif provider not in known:
        near = nearest(provider, known, most=1)
        message = f"the provider {quoted(provider)} is not declared under providers, which has: "
        document.blame_key(path, message + _list(known), f"{near[0]}/{name}" if near else None)


def _check_lists(document: Document, pool: str) -> None:
    for key in ("allowed_providers", "excluded_providers", "provider_priority"):
        _check_names(document, ("pools", pool, key), "providers")
    _check_names(document, ("pools", pool, "model_priority"), "models")


def _check_names(document: Document, path: tuple[str, ...], section: str) -> None:
    if document.is_broken(section):
        return
    known = list(document.section(section))
    for at, name in document.names(*path):
        if name not in known:
            near = nearest(name, known, most=1)
            shown = quoted(document.written(at))
            message = f"{shown} is not declared under {section}, which has: {_list(known)}"
            document.blame(at, message, near[0] if near else None)


def _check_strategy(document: Document, path: KeyPath) -> None:
    spec = document.at(path)
    if not isinstance(spec, str):
        return
    if ":" in spec and document.at(("allow_imports",)) is not True:
        known = _list(registry.names(registry.STRATEGIES))
        message = "an import path runs code, so it needs 'allow_imports: true' at the top"
        document.blame(path, f"{message}; or use one of {known}")
        return
    try:
        registry.resolve(registry.STRATEGIES, spec)
    except (ValueError, ImportError) as error:
        _blame_strategy(document, path, spec, str(error))


def _blame_strategy(document: Document, path: KeyPath, spec: str, why: str) -> None:
    known = registry.names(registry.STRATEGIES)
    if ":" in spec or spec in known:
        document.blame(path, "this cannot be imported" if path in document.references else why)
        return
    near = nearest(spec, known, most=1)
    message = f"unknown strategy {quoted(document.written(path))}; known: {_list(known)}"
    document.blame(path, message, near[0] if near else None)


def _check_cooldown(document: Document, path: KeyPath) -> None:
    """The engine refuses such a pair as well, but in its own words and only when it is built."""
    defaults = Cooldown()
    first = _seconds(document, (*path, "cooldown"), defaults.initial_s)
    longest = _seconds(document, (*path, "max_cooldown"), defaults.max_s)
    if first is None or longest is None or 0 in (first, longest) or first <= longest:
        return
    key = "cooldown" if document.at((*path, "cooldown")) is not None else "max_cooldown"
    shown = _or_default(document, (*path, "cooldown"), defaults.initial_s)
    limit = _or_default(document, (*path, "max_cooldown"), defaults.max_s)
    document.blame((*path, key), f"cooldown is {shown}, longer than max_cooldown, which is {limit}")


def _seconds(document: Document, path: KeyPath, default_s: float) -> float | None:
    """The duration at a path; None if there is something else, which is reported elsewhere."""
    value = document.at(path)
    if value is None:
        return default_s
    try:
        return parse_duration(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _or_default(document: Document, path: KeyPath, default_s: float) -> str:
    return f"{default_s:g}s by default" if document.at(path) is None else document.written(path)


def _check_kind(document: Document, kind: str) -> None:
    known = [str(each) for each in FailureKind]
    if kind not in known:
        near = nearest(kind, known, most=1)
        message = f"unknown kind of failure {quoted(kind)}; known: {_list(known)}"
        document.blame_key(("faults", kind), message, near[0] if near else None)


def _list(names: list[str]) -> str:
    shown = ", ".join(names[:_MOST_LISTED]) or "none"
    more = len(names) - _MOST_LISTED
    return f"{shown} and {more} more" if more > 0 else shown
