"""The permit for one attempt."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from capability_router.engine.evidence import Evidence
from capability_router.engine.ledger import Reservation
from capability_router.engine.member import Member, Standby
from capability_router.engine.model import Model
from capability_router.engine.request import CompletionRequest
from capability_router.engine.selection import SelectionStrategy
from capability_router.engine.state import ModelState
from capability_router.engine.tally import Tally
from capability_router.engine.tempo import Tempo

__all__ = ["Lease", "LeaseEnd", "LeasingPool"]


class LeaseEnd(Enum):
    """How a lease ended."""

    REPORTED = "reported"
    RELEASED = "released"
    EXPIRED = "expired"


class LeasingPool(Protocol):
    """What a lease knows of the pool that handed it out."""

    name: str
    tempo: Tempo
    tally: Tally

    def trial_returned(self, member: Member, trial: Standby, now: float) -> None:
        """Take a trial back that ended without a result."""
        ...


class Lease:
    """The permit for one attempt; ends exactly once.

    Attributes:
        member: The model as its pool sees it.
        pool: The pool it was picked from.
        request: What it was picked for.
        node: Full path of the node it was picked at.
        started_at: Monotonic seconds when it was handed out.
        strategy: What chose it; None for a trial.
        trial: The standby that this attempt puts to the test; None for an active model.
        panic: True if it was tried before its time because nothing else was left.
        degraded: True if ``node`` is a related one, because no pool of the capability had a model.
        reserved: What was taken of the limits.
        evidence: Why this model.
        end: How it ended; None while it is open.
    """

    __slots__ = (
        "degraded",
        "end",
        "evidence",
        "member",
        "node",
        "panic",
        "pool",
        "request",
        "reserved",
        "started_at",
        "strategy",
        "trial",
    )

    def __init__(
        self,
        member: Member,
        pool: LeasingPool,
        request: CompletionRequest,
        node: str,
        started_at: float,
        strategy: SelectionStrategy | None,
        reserved: Reservation,
        evidence: Evidence,
        trial: Standby | None = None,
    ) -> None:
        # Made for every attempt, so written out: a dataclass takes twice as long.
        self.member = member
        self.pool = pool
        self.request = request
        self.node = node
        self.started_at = started_at
        self.strategy = strategy
        self.reserved = reserved
        self.evidence = evidence
        self.trial = trial
        self.panic = trial is not None and trial.order.until > started_at
        self.degraded = False
        self.end: LeaseEnd | None = None

    @property
    def model(self) -> Model:
        """The model to call."""
        return self.member.model

    @property
    def state(self) -> ModelState:
        """The model's counters."""
        return self.member.state

    @property
    def probe(self) -> bool:
        """True if the attempt is the trial of a model on standby."""
        return self.trial is not None

    def __repr__(self) -> str:
        end = self.end.value if self.end else "open"
        return f"Lease({self.model.id!r}, pool={self.pool.name!r}, {end})"
