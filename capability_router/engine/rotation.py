"""A rotation policy: when models leave and return, which one serves, and how hard a call tries."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from capability_router.engine.deactivation import (
    DeactivationPolicy,
    ErrorThreshold,
    Maintenance,
    ProviderOutage,
    SlowOutlier,
)
from capability_router.engine.hedge import Hedge
from capability_router.engine.limits import Limit
from capability_router.engine.recovery import Cooldown, RecoveryPolicy
from capability_router.engine.retry import RetryPolicy
from capability_router.engine.selection import StickUntilFailure, StrategyFactory
from capability_router.engine.throttling import Throttling

__all__ = ["Degrade", "RotationPolicy"]


class Degrade(StrEnum):
    """Where to look for a model when no pool of the capability has one."""

    SIBLINGS = "siblings"
    """At the other nodes under the same parent."""
    ANCESTORS = "ancestors"
    """At the parent, then above it: at any node below them."""


@dataclass(frozen=True, slots=True)
class RotationPolicy:
    """When models leave, when they return, and which one serves.

    One policy may be given to many pools: it holds no state, and ``selection`` is called for
    every pool and kind of request for a strategy of its own.

    Attributes:
        deactivation: Whether a model leaves after a failure.
        recovery: How long it stays away.
        selection: Makes the strategy that orders the active models; a class or a factory that
            takes the source of chance.
        retry: How hard one call tries.
        hedge: When a slow attempt gets a second one beside it; None for never.
        max_ejected: Share of the pool's models, 0 to 1, that may be on standby for errors at
            once; one model always may. Those beyond it are spared: they serve when nobody else
            can. Default 0.5: a fault that is our own, such as a lost network, must not leave
            nobody behind who takes requests the moment it is over (Envoy's
            ``max_ejection_percent``, which is 10 for its larger clusters).
        slow: When a model is too slow for the pool; None for never.
        outage: When failing models mean that their provider is down; None for never.
        maintenance: Windows in which models take no requests.
        limits: What may be used of the pool as a whole.
        degrade: Where to look when no pool has a model, in this order; empty for nowhere.
        throttling: Which share of requests passes over a model whose provider turns many away;
            None for no request.
    """

    deactivation: DeactivationPolicy = field(default_factory=ErrorThreshold)
    recovery: RecoveryPolicy = field(default_factory=Cooldown)
    selection: StrategyFactory = StickUntilFailure
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    hedge: Hedge | None = None
    max_ejected: float = 0.5
    slow: SlowOutlier | None = None
    outage: ProviderOutage | None = None
    maintenance: tuple[Maintenance, ...] = ()
    limits: tuple[Limit, ...] = ()
    degrade: tuple[Degrade, ...] = ()
    throttling: Throttling | None = None

    def __post_init__(self) -> None:
        if not callable(self.selection):
            raise TypeError(
                f"selection {self.selection!r} must be a class or factory;"
                f" write strategy({self.selection!r})"
            )
        for name in ("maintenance", "limits", "degrade"):
            if not isinstance(getattr(self, name), tuple):
                raise TypeError(f"{name} {getattr(self, name)!r} must be a tuple")
        if not 0 <= self.max_ejected <= 1:
            raise ValueError(f"max_ejected {self.max_ejected} must be between 0 and 1")
