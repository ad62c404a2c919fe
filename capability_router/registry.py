"""Names of plug-ins: where each is found, imported on first use.

Knows import paths only, not what a plug-in does. Other distributions add names through entry
points of the group ``capability_router.<kind>``, for instance ``capability_router.strategies``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from random import Random
from typing import cast

from capability_router.engine.errors import nearest
from capability_router.engine.selection import (
    SelectionStrategy,
    StrategyFactory,
    WithParameters,
)

__all__ = [
    "OBSERVABILITY",
    "SECRETS",
    "STRATEGIES",
    "STRATEGY_METHODS",
    "names",
    "register",
    "resolve",
    "strategy",
]

STRATEGIES = "strategies"
"""The kind of plug-in that orders the active models of a pool."""

OBSERVABILITY = "observability"
"""The kind of plug-in that is told of events and decisions."""

SECRETS = "secrets"
"""The kind of plug-in that fetches what ``${NAME:REFERENCE}`` stands for in a configuration."""

STRATEGY_METHODS = ("admit", "withdraw", "choose", "chosen")

Plugin = Callable[..., object]

_IMPORT_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True, slots=True)
class _Target:
    path: str
    extra: str | None = None


_STRATEGIES = {
    "adaptive": "adaptive:Adaptive",
    "cost-first": "costs:CostFirst",
    "latency-first": "sampling:LatencyFirst",
    "least-in-flight": "sampling:LeastInFlight",
    "load-balanced": "sampling:LoadBalanced",
    "priority": "selection:Priority",
    "rate-limit-aware": "headroom:RateLimitAware",
    "round-robin": "selection:RoundRobin",
    "scored": "scored:Scored",
    "session-sticky": "affinity:SessionSticky",
    "stick-until-failure": "selection:StickUntilFailure",
    "weighted": "sampling:Weighted",
}
_CONNECTORS = {
    "jsonl": "jsonl:JsonLines",
    "logging": "logging:Logging",
    "opentelemetry": "opentelemetry:OpenTelemetry",
    "prometheus": "prometheus:Prometheus",
    "webhook": "webhook:Webhook",
}
_targets: dict[tuple[str, str], _Target] = {
    (kind, name): _Target(f"capability_router.{folder}.{home}")
    for kind, folder, homes in (
        (STRATEGIES, "engine", _STRATEGIES),
        (OBSERVABILITY, "observability", _CONNECTORS),
    )
    for name, home in homes.items()
}


def register(kind: str, name: str, target: str, extra: str | None = None) -> None:
    """Give a plug-in a short name; nothing is imported yet.

    Args:
        kind: What it is, for instance ``strategies``.
        name: Short name, without a colon.
        target: ``package.module:attribute``.
        extra: The extra of this distribution that it needs; None if it needs none.

    Raises:
        ValueError: If the name is taken or has a colon, or the target is malformed.
    """
    if not name or ":" in name:
        raise ValueError(f"name {name!r} for {target!r} is malformed; use a short name without ':'")
    if not _IMPORT_PATH.fullmatch(target):
        raise ValueError(f"target {target!r} is malformed; write 'package.module:attribute'")
    new = _Target(target, extra)
    # One atomic step: of two threads with the same name, the second learns that it is taken.
    if _targets.setdefault((kind, name), new) is not new:
        taken = _targets[kind, name].path
        raise ValueError(f"{name!r} in {kind} is already registered as {taken!r}")


def names(kind: str) -> list[str]:
    """Return every short name of a kind, entry points included, sorted; imports none of them."""
    own = {name for of, name in list(_targets) if of == kind}
    return sorted(own | entry_points(group=f"capability_router.{kind}").names)


def resolve(kind: str, spec: object, *, allow_import: bool = True) -> Plugin:
    """Find a plug-in.

    Args:
        kind: What it is, for instance ``strategies``.
        spec: The plug-in itself; a short name, where a registered one wins over an entry point;
            or ``package.module:attribute``, which runs that module's code.
        allow_import: False refuses ``package.module:attribute``.

    Returns:
        The class or function.

    Raises:
        ValueError: If the name is unknown or ambiguous, or what it stands for cannot be used.
        ImportError: If it belongs to an extra that is not installed; the message names it.
    """
    if not isinstance(spec, str):
        return _callable(spec, repr(spec))
    registered = _targets.get((kind, spec))
    if registered is not None:
        return _import(registered)
    if ":" not in spec:
        return _import(_Target(_entry_point(kind, spec)))
    if not allow_import:
        raise ValueError(f"import path {spec!r} is not allowed here; use a name: {_list(kind)}")
    return _import(_Target(spec))


def strategy(name: str, **parameters: object) -> StrategyFactory:
    """Return a strategy by name, with its parameters, for ``RotationPolicy(selection=...)``.

    Args:
        name: Short name, such as ``weighted``, or ``package.module:attribute``.
        parameters: Keyword arguments of the strategy, for instance ``weights={"a/x": 3}``; what is
            a duration in a configuration, such as ``slow_start``, is in seconds here, as
            ``slow_start_s``. A ``fallback`` may be a name.

    Raises:
        ValueError: If the name is unknown, or what it stands for cannot be used.
        TypeError: If the strategy has no such parameter.
    """
    make = cast("Callable[..., SelectionStrategy]", resolve(STRATEGIES, name))
    fallback = parameters.get("fallback")
    if isinstance(fallback, str):
        parameters["fallback"] = strategy(fallback)
    # Now, and not with the first request: what is wrong with it shows here.
    made = make(Random(0), **parameters)
    missing = [method for method in STRATEGY_METHODS if not callable(getattr(made, method, None))]
    if missing:
        raise ValueError(f"strategy {name!r} has no method {missing[0]!r}")
    return WithParameters(make, parameters) if parameters else make


def _entry_point(kind: str, name: str) -> str:
    found = {point.value for point in entry_points(group=f"capability_router.{kind}", name=name)}
    if len(found) > 1:
        raise ValueError(f"{name!r} in {kind} is ambiguous; installed are: {sorted(found)}")
    if not found:
        near = nearest(name, names(kind))
        hint = f"; nearest: {near[0]}" if near else ""
        raise ValueError(f"unknown name {name!r} in {kind}; known: {_list(kind)}{hint}")
    return found.pop()


def _import(target: _Target) -> Plugin:
    if not _IMPORT_PATH.fullmatch(target.path):
        raise ValueError(f"{target.path!r} is malformed; write 'package.module:attribute'")
    module, _, attribute = target.path.partition(":")
    try:
        found: object = import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    # Foreign code: whatever a module raises when it is imported is reported with its path.
    except Exception as error:
        if target.extra and isinstance(error, ImportError):
            raise ImportError(
                f"{target.path!r} needs an optional package:"
                f" pip install 'capability-router[{target.extra}]'",
                name=error.name,
            ) from error
        raise ValueError(
            f"{target.path!r} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    return _callable(found, target.path)


def _callable(found: object, shown: str) -> Plugin:
    if not callable(found):
        raise ValueError(f"{shown} names no class or function")  # noqa: TRY004  # a bad name
    return found


def _list(kind: str) -> str:
    return ", ".join(names(kind)) or "none"
