"""How slow models are, as all processes together know it: kept in the store, read now and then."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from capability_router.engine.replica import Replica
from capability_router.storage import facts
from capability_router.storage.store import Entry, Write
from capability_router.storage.store_clock import StoreClock

__all__ = ["Estimates"]

_CHANGED = 0.1
_KEPT_S = 3600.0


class Estimates:
    """The latency of the models of one router against that in the store; the newest counts.

    Args:
        clock: Compares the clocks.
    """

    def __init__(self, clock: StoreClock) -> None:
        self._clock = clock
        self._told: dict[str, tuple[float, float]] = {}

    def begin_anew(self) -> None:
        """Note that the store may not have what was told: all is told again."""
        self._told.clear()

    def gather(self, replica: Replica) -> list[Write]:
        """Return what to write: of each model that has become a tenth slower or faster."""
        writes: list[Write] = []
        for model_id, state in replica.states().items():
            measured = state.latency_s, state.first_token_s
            if state.timed_at > -inf and _differ(measured, self._told.get(model_id, (0.0, 0.0))):
                self._told[model_id] = measured
                writes.append(self._write(model_id, measured, self._clock.to_store(state.timed_at)))
        return writes

    def read(self, replica: Replica, entries: Iterable[Entry]) -> list[str]:
        """Take over what others have measured, of all entries; return what could not be read."""
        now, states, unreadable = replica.now(), replica.states(), list[str]()
        for entry in entries:
            try:
                if facts.kind_of(entry.key) != "latency":
                    continue
                state = states.get(facts.model_of(entry.key))
                values = facts.unpack(entry)
                measured = float(values["latency_s"]), float(values["first_token_s"])
                age_s = max(0.0, now - self._clock.to_own(float(values["at"])))
            except (KeyError, TypeError, ValueError) as error:
                unreadable.append(f"{entry.key} is no estimate: {error!r}")
                continue
            if state is not None:
                state.hear_latency(*measured, age_s, now)
        return unreadable

    def _write(self, model_id: str, measured: tuple[float, float], at: float) -> Write:
        latency_s, first_token_s = measured
        value = facts.pack(latency_s=latency_s, first_token_s=first_token_s, at=at)
        # A base that nobody has: so the heavier one stays, which is the one measured last.
        return Write(facts.latency_key(model_id), value, at, at + _KEPT_S, base=-1, quiet=True)


def _differ(new: tuple[float, float], old: tuple[float, float]) -> bool:
    return any(abs(a - b) > _CHANGED * max(a, b) for a, b in zip(new, old, strict=True))
