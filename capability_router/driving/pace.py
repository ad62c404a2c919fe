"""How long an attempt may keep its caller waiting, moment by moment."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from time import monotonic

from capability_router.engine.errors import AttemptTimeoutError, NothingToAddError
from capability_router.engine.outcome import Failure, FailureKind
from capability_router.engine.steps import Try

__all__ = ["Pace", "failure_of_attempt"]

_NEXT, _READ = "next chunk", "next read"
# Who reads so slowly that the deadline passes meanwhile has left, in a way.
_KINDS = {_NEXT: FailureKind.STALLED, _READ: FailureKind.CANCELLED}


class Pace:
    """Says until when the next thing has to come.

    It is the machine's time that counts, whatever clock the router has: sockets wait in it.

    Args:
        awaited: What has to come.
        limit_s: Seconds it may take from now, > 0.
        stall_s: Seconds that each thing after it may take, > 0.
        ends_s: Seconds from now that all of it may take, > 0.
    """

    __slots__ = (
        "_at_the_end",
        "_awaited",
        "_came",
        "_ends",
        "_ends_s",
        "_limit_s",
        "_stall_s",
        "_until",
    )

    def __init__(self, awaited: str, limit_s: float, stall_s: float, ends_s: float) -> None:
        now = monotonic()
        self._awaited = awaited
        self._at_the_end = "end of the answer"
        self._limit_s = limit_s
        self._until = now + limit_s
        self._stall_s = stall_s
        self._ends_s = ends_s
        self._ends = now + ends_s
        self._came = inf

    @classmethod
    def of_answer(cls, step: Try) -> Pace:
        """Return the pace of an attempt that answers as a whole."""
        return cls("answer", step.timeout_s, inf, step.ends_s)

    @classmethod
    def of_stream(cls, step: Try) -> Pace:
        """Return the pace of an attempt that streams."""
        return cls("first token", step.first_token_s, step.stall_s, step.ends_s)

    def came(self) -> None:
        """Note that something has come: up to the next wait it is the caller who takes the time."""
        if self._ends < inf:
            self._came = monotonic()

    def flows(self) -> None:
        """Note that the first token has come: from now on every silence has a limit of its own."""
        self._awaited, self._limit_s, self._until = _NEXT, self._stall_s, inf

    def until(self) -> float:
        """Begin to wait; return the moment up to which, in ``time.monotonic()``."""
        if self._until < inf:
            return min(self._until, self._ends)
        now = monotonic()
        if self._came < self._ends <= now:
            self._at_the_end = _READ
        return min(now + self._limit_s, self._ends)

    def left_s(self) -> float:
        """Begin to wait; return the seconds up to which."""
        return self.until() - monotonic()

    def error(self) -> AttemptTimeoutError:
        """Return the error for what has not come in time."""
        if monotonic() >= self._ends:
            return AttemptTimeoutError(self._at_the_end, self._ends_s)
        return AttemptTimeoutError(self._awaited, self._limit_s)


def failure_of_attempt(error: Exception, read: Callable[[Exception], Failure]) -> Failure:
    """Name what an exception means: one of our own limits, or what the client library says.

    Args:
        error: The exception.
        read: Reads those of the client library.
    """
    if isinstance(error, NothingToAddError):
        # It may be right: nobody is to blame before another model has said more.
        return Failure(FailureKind.UNSUPPORTED, error=error)
    if not isinstance(error, AttemptTimeoutError):
        return read(error)
    return Failure(_KINDS.get(error.awaited, FailureKind.TIMEOUT), error=error)
