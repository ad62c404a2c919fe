"""What a view knows of one model, one pool and one provider; all times are seconds since 1970.

Knows no record: it is told what has changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

__all__ = ["PoolView", "ProviderView", "Standing", "Tally"]


@dataclass(slots=True)
class Standing:
    """One model in one pool.

    Attributes:
        state: ``active``, ``standby`` or ``on_trial``.
        reason: Why it is on standby or spared; empty if it is neither.
        since: When it came to be so; None if that was before the first record.
        until: When it returns or is tried; None if only a person brings it back.
        spared: True if it should have left and was kept, because the pool may lose no more.
        at: Monotonic seconds of the newest event that it is made of; ``-inf`` before the first.
    """

    state: str = "active"
    reason: str = ""
    since: float | None = None
    until: float | None = None
    spared: bool = False
    at: float = -inf

    def as_dict(self, model: str) -> dict[str, object]:
        """Return it as JSON-ready values."""
        return {
            "model": model,
            "state": self.state,
            "reason": self.reason,
            "since": self.since,
            "until": self.until,
            "spared": self.spared,
        }


@dataclass(slots=True)
class PoolView:
    """One pool.

    Attributes:
        node: Full path of the node that it serves; empty if no record has told.
        members: Its models' standing by their ids, in the order they joined.
        closed: Why it takes no requests; empty if it does.
        closed_until: When it opens; None if that is not known.
    """

    node: str = ""
    members: dict[str, Standing] = field(default_factory=dict[str, Standing])
    closed: str = ""
    closed_until: float | None = None

    def as_dict(self, name: str) -> dict[str, object]:
        """Return it as JSON-ready values."""
        return {
            "name": name,
            "node": self.node,
            "closed": self.closed,
            "closed_until": self.closed_until,
            "models": [standing.as_dict(model) for model, standing in self.members.items()],
        }


@dataclass(slots=True)
class ProviderView:
    """One provider.

    Attributes:
        health: ``healthy``, ``degraded`` or ``down``, or another word that an event brings.
        reason: Why; empty if nobody said.
        since: When it came to be so; None if no event has told.
    """

    health: str = "healthy"
    reason: str = ""
    since: float | None = None


@dataclass(slots=True)
class Tally:
    """What the decisions tell of one model, in all of its pools.

    Attributes:
        provider: Id of its provider.
        answers: Attempts that it answered.
        failures: Attempts that failed, whoever was to blame; those that were cancelled are none.
        latency_s: Seconds that its last answer took; None before the first.
        last_at: When its last attempt ended; None before the first.
    """

    provider: str
    answers: int = 0
    failures: int = 0
    latency_s: float | None = None
    last_at: float | None = None

    def as_dict(self) -> dict[str, object]:
        """Return it as JSON-ready values."""
        return {
            "provider": self.provider,
            "answers": self.answers,
            "failures": self.failures,
            "latency_s": self.latency_s,
            "last_at": self.last_at,
        }
