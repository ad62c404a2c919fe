"""Which trials a process may start, where several of them share one."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Permits", "Trial"]

Trial = tuple[str, str]
"""Name of the pool and id of the model on standby."""


class Permits:
    """Permissions to try a model whose time on standby is over; used under the router's guard.

    Attributes:
        needed: Whether a trial needs a permit; if not, every process has its own trials.
        granted: Monotonic seconds up to which a trial may be started, by trial.
        wanted: The trials that a request would have been, had there been a permit.
        ask: Called when a trial is wanted for the first time; returns at once.
    """

    __slots__ = ("ask", "granted", "needed", "wanted")

    def __init__(self) -> None:
        self.needed = False
        self.granted: dict[Trial, float] = {}
        self.wanted: dict[Trial, None] = {}
        self.ask: Callable[[], object] | None = None

    def has(self, trial: Trial, now: float) -> bool:
        """Return whether a trial may be started now.

        Args:
            trial: The trial.
            now: Monotonic seconds.
        """
        return not self.needed or now < self.granted.get(trial, now)

    def ask_for(self, trial: Trial, now: float) -> bool:
        """Return whether a trial may be started now; one that may not is wanted from now on.

        Args:
            trial: The trial.
            now: Monotonic seconds.
        """
        if self.has(trial, now):
            return True
        if trial not in self.wanted:
            self.wanted[trial] = None
            if self.ask is not None:
                self.ask()
        return False
