"""The record of one call: what was asked, what was tried, who served."""

from __future__ import annotations

from dataclasses import dataclass, replace

from capability_router.engine.outcome import Attempt

__all__ = ["Decision"]


@dataclass(frozen=True, slots=True)
class Decision:
    """How one call went; holds no text of the request or the answer.

    Attributes:
        capability: What was asked for, as the caller wrote it.
        at: Monotonic seconds when the call ended.
        served_by: Id of the model that answered; None if none did.
        pool: Name of the pool that the last model was picked from; None if there was none.
        attempts: Everything that was tried, oldest first.
        panic: True if a model was tried before its time because nothing else was left.
        degraded_to: Full path of the related node whose model served or was tried last, where no
            pool of the capability had one; None if it never came to that.
    """

    capability: str
    at: float
    served_by: str | None
    pool: str | None
    attempts: tuple[Attempt, ...]
    panic: bool = False
    degraded_to: str | None = None

    def __str__(self) -> str:
        steps = "; ".join(str(attempt) for attempt in self.attempts) or "nothing was tried"
        instead = f", as {self.degraded_to}" if self.degraded_to else ""
        return f"{self.capability} -> {self.served_by or 'nobody'}{instead} ({steps})"

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
            "served_by": self.served_by,
            "pool": self.pool,
            "attempts": [attempt.as_dict() for attempt in self.attempts],
            "panic": self.panic,
            "degraded_to": self.degraded_to,
        }
