"""The record of one call: what was asked, who could have served, what was tried, who served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from capability_router.engine.choice import Choice
from capability_router.engine.displaying import Displayed
from capability_router.engine.evidence import Evidence
from capability_router.engine.outcome import Attempt
from capability_router.engine.request import CompletionRequest

__all__ = ["Decision"]


@dataclass(frozen=True, slots=True)
class Decision(Displayed):
    """How one call went, and why; holds no text of the request or the answer.

    Attributes:
        capability: What was asked for, as the caller wrote it.
        at: Monotonic seconds when the call ended.
        served_by: Id of the model that answered; None if none did.
        pool: Name of the pool that the last model was picked from; None if there was none.
        attempts: Everything that was tried, in the order in which it ended.
        panic: True if a model was tried before its time because nothing else was left.
        degraded_to: Full path of the related node whose model served or was tried last, where no
            pool of the capability had one; None if it never came to that.
        request: All that was asked for; None where it is not known.
        node: Full path of the node that the capability names.
        pools: Names of the pools that serve it, in the order in which they are asked.
        started_at: Monotonic seconds when the call began.
        wall: Seconds since 1970 UTC when it ended; the clock may have been set meanwhile.
        evidence: What ``choices`` are made of.
    """

    capability: str
    at: float
    served_by: str | None
    pool: str | None
    attempts: tuple[Attempt, ...]
    panic: bool = False
    degraded_to: str | None = None
    request: CompletionRequest | None = None
    node: str = ""
    pools: tuple[str, ...] = ()
    started_at: float = 0.0
    wall: float = 0.0
    evidence: tuple[Evidence | Choice, ...] = field(default=(), repr=False, compare=False)

    def __str__(self) -> str:
        steps = "; ".join(str(attempt) for attempt in self.attempts) or "nothing was tried"
        instead = f", as {self.degraded_to}" if self.degraded_to else ""
        return f"{self.capability} -> {self.served_by or 'nobody'}{instead} ({steps})"

    @property
    def choices(self) -> tuple[Choice, ...]:
        """Every selection of a model, in the order in which they were made."""
        return tuple(
            each.choice() if isinstance(each, Evidence) else each for each in self.evidence
        )

    @property
    def policy(self) -> str:
        """Short name of the rules by which the first model was chosen; empty if there was none."""
        return next((choice.policy for choice in self.choices), "")

    def without_errors(self) -> Decision:
        """Return it as it can be kept.

        An exception holds every frame that it went through, and so the request, the answer as far
        as it came, and the key that was sent.
        """
        if all(attempt.error is None for attempt in self.attempts):
            return self
        return replace(
            self, attempts=tuple(replace(attempt, error=None) for attempt in self.attempts)
        )

    def as_dict(self) -> dict[str, object]:
        """Return the record as JSON-ready values."""
        return {
            "capability": self.capability,
            "at": self.at,
            "served_by": self.served_by,
            "pool": self.pool,
            "attempts": [attempt.as_dict() for attempt in self.attempts],
            "panic": self.panic,
            "degraded_to": self.degraded_to,
            "request": None if self.request is None else self.request.as_dict(),
            "node": self.node,
            "pools": list(self.pools),
            "started_at": self.started_at,
            "wall": self.wall,
            "choices": [choice.as_dict() for choice in self.choices],
        }

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Decision:
        """Return what ``as_dict`` told; further keys are passed over.

        Raises:
            KeyError, TypeError, ValueError: If it is no decision.
        """
        plain = ("capability", "at", "served_by", "pool", "panic", "degraded_to", "node")
        request = told.get("request")
        return cls(
            **{name: told[name] for name in plain},
            attempts=tuple(map(Attempt.from_dict, told["attempts"])),
            request=None if request is None else CompletionRequest.from_dict(request),
            pools=tuple(told["pools"]),
            started_at=told["started_at"],
            wall=told["wall"],
            evidence=tuple(map(Choice.from_dict, told["choices"])),
        )
