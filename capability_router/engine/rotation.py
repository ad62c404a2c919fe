"""A rotation policy: the three seams, and how hard a call tries, in one value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from capability_router.engine.deactivation import ConsecutiveFailures, DeactivationPolicy
from capability_router.engine.recovery import Cooldown, RecoveryPolicy
from capability_router.engine.retry import RetryPolicy
from capability_router.engine.selection import SelectionStrategy, StickUntilFailure

__all__ = ["RotationPolicy"]


@dataclass(frozen=True, slots=True)
class RotationPolicy:
    """When models leave, when they return, and which one serves.

    One policy may be given to many pools: it holds no state, and ``selection`` is called once per
    pool for a strategy of its own.

    Attributes:
        deactivation: Whether a model leaves after a failure.
        recovery: How long it stays away.
        selection: Makes the strategy that orders the active models; a class or a factory.
        retry: How hard one call tries.
    """

    deactivation: DeactivationPolicy = field(default_factory=ConsecutiveFailures)
    recovery: RecoveryPolicy = field(default_factory=Cooldown)
    selection: Callable[[], SelectionStrategy] = StickUntilFailure
    retry: RetryPolicy = field(default_factory=RetryPolicy)
