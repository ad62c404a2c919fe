"""What recorded decisions say: of the requests that came, and of what providers did."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from itertools import count, takewhile
from math import inf
from os import PathLike
from pathlib import Path

from capability_router.engine.decision import Decision
from capability_router.engine.model import Model
from capability_router.engine.outcome import Attempt, Failure, FailureKind
from capability_router.engine.request import CompletionRequest
from capability_router.router import CapabilityRouter
from capability_router.simulation.outages import Outage
from capability_router.simulation.providers import Answer, Truth
from capability_router.simulation.workload import Arrival

__all__ = ["Basis", "Log", "RecordedTruth", "arrivals_of", "decisions_of"]

Log = str | PathLike[str] | CapabilityRouter | Iterable[Decision]
"""A file that ``JsonLines`` has written, with its backups; a router, with its last decisions; or
decisions."""

_MOMENT_S = 0.001
"""More than a log rounds times by."""

_OF_THE_REQUEST = frozenset(
    {FailureKind.INVALID_REQUEST, FailureKind.CONTENT_POLICY, FailureKind.CONTEXT_OVERFLOW}
)
_SAYS_NOTHING = _OF_THE_REQUEST | {FailureKind.UNSUPPORTED, FailureKind.CANCELLED}


class Basis(IntEnum):
    """What an answer in a replay rests on, the surest first."""

    RECORDED = 0
    """The model was asked for this very request."""
    NEAREST = 1
    """The model was asked for another one, the nearest in time."""
    ASSUMED = 2
    """The log says nothing of the model."""


def decisions_of(log: Log) -> list[Decision]:
    """Return recorded decisions in the order in which their requests came.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If a line of a file is no record, or there is no decision.
    """
    if isinstance(log, CapabilityRouter):
        found = log.decisions
    elif isinstance(log, str | PathLike):
        found = [decision for path in _files(Path(log)) for decision in _read(path)]
    else:
        found = list(log)
    if not found:
        raise ValueError(f"log {str(log)!r} holds no decision to replay")
    return sorted(found, key=_came_at)


def arrivals_of(decisions: Sequence[Decision]) -> list[Arrival]:
    """Return the requests of recorded decisions, the first one at 0 s."""
    start = _came_at(decisions[0])
    told = zip(decisions, _streamed(decisions), strict=True)
    return [
        _arrival(number, decision, _came_at(decision) - start, streamed=streamed)
        for number, (decision, streamed) in enumerate(told)
    ]


class RecordedTruth:
    """Providers as a log has seen them.

    Asked for a request whose attempts were recorded it repeats them. What was not tried then is
    taken to have gone as the model's attempt that is nearest in time. Where there is none,
    somebody else is asked.

    Args:
        decisions: The log, in order.
        otherwise: Says what models do of which the log says nothing.

    Attributes:
        basis: What the least sure answer to each request so far rests on, by its number.
    """

    def __init__(self, decisions: Sequence[Decision], otherwise: Truth) -> None:
        self._decisions = decisions
        self._otherwise = otherwise
        self._start = _came_at(decisions[0])
        self.basis: dict[int, Basis] = {}
        self._seen: dict[str, list[tuple[float, Attempt]]] = {}
        for decision in decisions:
            offset = _came_at(decision) - self._start - decision.started_at
            for attempt in decision.attempts:
                if attempt.kind not in _SAYS_NOTHING:
                    seen = self._seen.setdefault(attempt.model, [])
                    seen.append((attempt.started_at + offset, attempt))
        for seen in self._seen.values():
            seen.sort(key=lambda each: each[0])

    def answer(self, model: Model, arrival: Arrival, again: int, now: float) -> Answer:
        """Return what a model says; see ``Truth``."""
        found = self._known(model, arrival, again, now)
        if found is None:
            found = Basis.ASSUMED, self._otherwise.answer(model, arrival, again, now)
        basis, answer = found
        self.basis[arrival.number] = max(basis, self.basis.get(arrival.number, basis))
        return answer

    def possible(self, model: Model, arrival: Arrival) -> Answer:
        """Return what a model would have said to a request as it came."""
        found = self._known(model, arrival, 0, arrival.at)
        return found[1] if found else self._otherwise.possible(model, arrival)

    def outages(self, model_id: str) -> Sequence[Outage]:
        """Return nothing: a log has no word of when something began or was over."""
        return ()

    def _known(
        self, model: Model, arrival: Arrival, again: int, now: float
    ) -> tuple[Basis, Answer] | None:
        """Return what the log says; None if it says nothing of the model."""
        attempts = self._decisions[arrival.number].attempts
        own = [each for each in attempts if each.model == model.id]
        left = None
        if again < len(own):
            if own[again].kind is not FailureKind.CANCELLED:
                return Basis.RECORDED, _repeated(own[again], arrival)
            left = own[again]
        refused = next((each for each in attempts if each.kind in _OF_THE_REQUEST), None)
        if refused is not None:
            return Basis.RECORDED, _repeated(refused, arrival)
        near = self._nearest(model.id, now)
        if near is None:
            return None
        answer = _repeated(near, arrival)
        return Basis.NEAREST, answer if left is None else _after(answer, left, arrival)

    def _nearest(self, model_id: str, now: float) -> Attempt | None:
        seen = self._seen.get(model_id)
        if not seen:
            return None
        place = bisect_left(seen, now, key=lambda each: each[0])
        around = seen[max(0, place - 1) : place + 1]
        return min(around, key=lambda each: abs(each[0] - now))[1]


def _repeated(attempt: Attempt, arrival: Arrival) -> Answer:
    """Return what an attempt was, as the answer to a request."""
    whole_s = attempt.latency_s
    if attempt.kind is None:
        first_s = whole_s if attempt.first_token_s is None else attempt.first_token_s
        return Answer(first_s, whole_s, None, arrival.output_tokens)
    failure = Failure(attempt.kind, attempt.status, attempt.retry_after_s)
    if attempt.first_token_s is not None:
        return Answer(attempt.first_token_s, whole_s, failure, 1)
    if attempt.kind is FailureKind.TIMEOUT and attempt.status is None:
        # It ended because of a limit, which another policy may not have: nobody saw an end.
        return Answer(inf, inf, failure, 0)
    return Answer(whole_s, whole_s, failure, 0)


def _after(answer: Answer, left: Attempt, arrival: Arrival) -> Answer:
    """Return an answer as one that had not come when its attempt was left."""
    came_s = answer.first_s if arrival.streamed else answer.whole_s
    later_s = max(0.0, left.latency_s + _MOMENT_S - came_s)
    return answer._replace(first_s=answer.first_s + later_s, whole_s=answer.whole_s + later_s)


def _streamed(decisions: Sequence[Decision]) -> Iterator[bool]:
    """Tell for each request whether it was streamed; one without an answer as the one before."""
    told = list(map(_is_streamed, decisions))
    last = next((each for each in told if each is not None), False)
    for each in told:
        last = last if each is None else each
        yield last


def _is_streamed(decision: Decision) -> bool | None:
    if any(each.first_token_s is not None for each in decision.attempts):
        return True
    return None if decision.served_by is None else False


def _arrival(number: int, decision: Decision, at: float, *, streamed: bool) -> Arrival:
    request = decision.request or CompletionRequest(decision.capability)
    served = next((each for each in decision.attempts if each.kind is None), None)
    usage = served.usage if served else None
    return Arrival(
        number,
        at,
        request,
        (usage.input_tokens if usage else 0) or request.input_tokens,
        (usage.output_tokens if usage else 0) or request.output_tokens or 1,
        streamed,
    )


def _came_at(decision: Decision) -> float:
    """Return when a request came, in seconds since 1970: a log may outlive its process."""
    return decision.wall - (decision.at - decision.started_at)


def _files(path: Path) -> list[Path]:
    """Return a file with those that were begun before it, the oldest first."""
    older = (path.with_name(f"{path.name}.{number}") for number in count(1))
    return [*reversed(list(takewhile(Path.exists, older))), path]


def _read(path: Path) -> Iterator[Decision]:
    """Return the decisions of a file; a last line that was cut off is passed over."""
    lines = path.read_text("utf-8").split("\n")
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            record = json.loads(line)
            if record["record"] == "decision":
                yield Decision.from_dict(record)
        except (KeyError, TypeError, ValueError) as error:
            if number == len(lines):
                return
            what = f"{type(error).__name__}: {error}"
            raise ValueError(
                f"{path}:{number}: this is no record of JsonLines ({what}); remove the line"
            ) from error
