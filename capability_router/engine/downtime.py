"""How long something could not serve."""

from __future__ import annotations

__all__ = ["Downtime"]


class Downtime:
    """The seconds of all the stretches in which something was down."""

    __slots__ = ("_ended_s", "_since")

    def __init__(self) -> None:
        self._ended_s = 0.0
        self._since: float | None = None

    def note(self, now: float, *, down: bool) -> None:
        """Note how it stands now; that it stands as before changes nothing.

        Args:
            now: Monotonic seconds.
            down: Whether it is down.
        """
        if down:
            self._since = now if self._since is None else self._since
        elif self._since is not None:
            self._ended_s += now - self._since
            self._since = None

    def total_s(self, now: float) -> float:
        """Return the seconds that it was down so far, >= 0; a stretch that goes on counts."""
        return self._ended_s + (0.0 if self._since is None else now - self._since)
