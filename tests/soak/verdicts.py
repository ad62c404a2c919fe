"""What became of a question, and whether it may become of one."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from capability_router import NoAvailableModelError, StreamInterruptedError
from tests.soak.questions import Heard
from tests.soak.routing import MAX_ATTEMPTS

__all__ = ["Verdicts", "faults_of_answer", "faults_of_error"]
_MOST_TOLD = 20
_MOST_LATE = 10


def faults_of_answer(heard: Heard) -> Iterator[str]:
    """Say what is wrong with what passed for a whole answer."""
    if not heard.question.is_answer(heard.text, heard.finish):
        asked = heard.question.prompt
        yield f"wrong answer, finished by {heard.finish!r}: {heard.text!r} to {asked!r}"


def faults_of_part(heard: Heard) -> Iterator[str]:
    """Say what is wrong with the beginning of an answer."""
    if not heard.question.is_beginning(heard.text):
        yield f"wrong beginning {heard.text!r} to {heard.question.prompt!r}"


def faults_of_error(heard: Heard, error: Exception, family: type[Exception]) -> Iterator[str]:
    """Say what is wrong with an error and with what came before it.

    Args:
        heard: What came.
        error: What was raised.
        family: What all errors of the surface are.
    """
    yield from faults_of_part(heard)
    ours = router_error(error)
    if ours is None:
        if status_of(error) != 400:
            yield f"error of no documented class: {error!r}"
        return
    if not isinstance(error, family):
        yield f"no {family.__name__}: {error!r}"
    if len(ours.attempts) > MAX_ATTEMPTS:
        yield f"{len(ours.attempts)} attempts: {error!r}"
    if any(attempt.kind is None for attempt in ours.attempts):
        yield f"a model served, and this was raised: {error!r}"
    if isinstance(ours, StreamInterruptedError) and not heard.text.startswith(ours.partial_text):
        yield f"partial text {ours.partial_text!r} after {heard.text!r}"


def router_error(error: Exception) -> NoAvailableModelError | StreamInterruptedError | None:
    """Return the router's own error, also where LiteLLM has put one around it."""
    for each in (error, getattr(error, "original_exception", None)):
        if isinstance(each, NoAvailableModelError | StreamInterruptedError):
            return each
    return None


def status_of(error: Exception) -> int | None:
    """Return the HTTP status of a client library's error."""
    source = getattr(error, "response", error)
    status = getattr(source, "status_code", None)
    return status if isinstance(status, int) else None


@dataclass
class Verdicts:
    """All of them; safe for threads.

    Attributes:
        outcomes: How many there are of each, by surface and outcome.
        faults: What must not have happened, in words; the first of them.
        late: The longest times, in seconds beyond the deadline, that anybody had to wait, and
            where, longest first.
        restarts: How often an answer began anew.
        latest_beat_s: The longest time that an event loop kept everybody waiting.
    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    faults: list[str] = field(default_factory=list[str])
    restarts: int = 0
    latest_beat_s: float = 0.0
    late: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def note(self, surface: str, outcome: str, faults: Sequence[str], heard: Heard) -> None:
        """Take one in."""
        with self._guard:
            self.outcomes[surface, outcome] += 1
            self.restarts += heard.restarts
            room = _MOST_TOLD - len(self.faults)
            self.faults += [f"{surface}: {fault}" for fault in faults[:room]]

    def note_time(self, where: str, beyond_s: float) -> None:
        """Note how much later than its deadline a question has ended; negative before it."""
        with self._guard:
            self.late = sorted([*self.late, (beyond_s, where)], reverse=True)[:_MOST_LATE]

    def note_beat(self, late_s: float) -> None:
        """Note by how much an event loop was late."""
        with self._guard:
            self.latest_beat_s = max(self.latest_beat_s, late_s)

    @property
    def total(self) -> int:
        """How many there are."""
        with self._guard:
            return self.outcomes.total()
