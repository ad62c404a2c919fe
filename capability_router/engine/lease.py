"""The permit for one attempt."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from capability_router.engine.model import Model
from capability_router.engine.pool import CapabilityPool
from capability_router.engine.request import CompletionRequest
from capability_router.engine.roster import Pick
from capability_router.engine.state import ModelState

__all__ = ["Lease", "LeaseEnd"]


class LeaseEnd(Enum):
    """How a lease ended."""

    REPORTED = "reported"
    RELEASED = "released"
    EXPIRED = "expired"


@dataclass(slots=True, eq=False)
class Lease:
    """The permit for one attempt; ends exactly once.

    Attributes:
        pick: What was picked, and whether for a trial.
        pool: The pool it was picked from.
        state: The model's counters.
        request: What it was picked for.
        started_at: Monotonic seconds when it was handed out.
        end: How it ended; None while it is open.
    """

    pick: Pick
    pool: CapabilityPool
    state: ModelState
    request: CompletionRequest
    started_at: float
    end: LeaseEnd | None = None

    @property
    def model(self) -> Model:
        """The model to call."""
        return self.pick.model

    @property
    def probe(self) -> bool:
        """True if the attempt is the trial of a model on standby."""
        return self.pick.trial is not None
