"""Times in which a provider is not what it usually is: down, failing in part, or slow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import inf

from capability_router.engine.outcome import FailureKind
from capability_router.simulation.chances import generator
from capability_router.simulation.percentiles import Percentiles

__all__ = ["PUBLISHED_99_58", "PUBLISHED_99_72", "Calendar", "Outage", "Outages"]


@dataclass(frozen=True, slots=True)
class Outage:
    """One span of time in which something is wrong.

    Attributes:
        start_s: When it begins, in seconds of the simulation.
        end_s: When it is over; ``inf`` for never.
        kind: What attempts fail with; ``timeout`` for no answer at all.
        status: HTTP status of the failure; None for the usual one of its kind.
        share: Share of the attempts that fail, 0 to 1. Below 1 it is a gray failure.
        slowdown: How many times as long the others take, >= 1.
        retry_after_s: Seconds that the failure asks to wait, >= 0; None for nothing said.

    Raises:
        ValueError: If a number is out of its range.
    """

    start_s: float
    end_s: float = inf
    kind: FailureKind = FailureKind.SERVER_ERROR
    status: int | None = None
    share: float = 1.0
    slowdown: float = 1.0
    retry_after_s: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", FailureKind(self.kind))
        if not self.start_s < self.end_s:
            raise ValueError(f"end_s {self.end_s} must be after start_s {self.start_s}")
        if self.retry_after_s is not None and not self.retry_after_s >= 0:
            raise ValueError(f"retry_after_s {self.retry_after_s} must be at least 0, or None")
        _check(self.share, self.slowdown)


@dataclass(frozen=True, slots=True)
class Outages:
    """Outages that come by chance, one after the other.

    The time between two of them is exponential, with the mean that makes the availability come
    true: mean duration times availability / (1 - availability).

    Attributes:
        availability: Share of the time without an outage, above 0 and below 1.
        duration_s: How long one lasts, in seconds.
        kind: As in ``Outage``; ``share`` and ``slowdown`` too.
        share: Share of the attempts that fail, 0 to 1.
        slowdown: How many times as long the others take, >= 1.
        cause: Whoever names the same cause has the same outages at the same time, for instance
            two providers in one region; empty for a cause of its own.

    Raises:
        ValueError: If a number is out of its range.
    """

    availability: float
    duration_s: Percentiles
    kind: FailureKind = FailureKind.SERVER_ERROR
    share: float = 1.0
    slowdown: float = 1.0
    cause: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", FailureKind(self.kind))
        if not 0 < self.availability < 1:
            raise ValueError(f"availability {self.availability} must be above 0 and below 1")
        _check(self.share, self.slowdown)

    def drawn(self, seed: int, place: str) -> Iterator[Outage]:
        """Return the outages of one world in their order, without an end.

        Args:
            seed: Seed of the world.
            place: Whose they are, if they have no cause that is shared.
        """
        rng = generator(seed, f"outages:{self.cause or place}")
        quiet_s = self.duration_s.mean * self.availability / (1 - self.availability)
        at = 0.0
        while True:
            at += rng.expovariate(1 / quiet_s)
            end = at + self.duration_s.at(max(rng.random(), 1e-12))
            yield Outage(at, end, self.kind, None, self.share, self.slowdown)
            at = end


def _check(share: float, slowdown: float) -> None:
    if not 0 <= share <= 1:
        raise ValueError(f"share {share} must be between 0 and 1")
    if not 1 <= slowdown < inf:
        raise ValueError(f"slowdown {slowdown} must be at least 1 and finite")


@dataclass(eq=False, slots=True)
class Calendar:
    """The outages of one model in one world, asked for in the order of time.

    Args:
        sources: Those that are stated, and those that come by chance.
        seed: Seed of the world.
        place: Whose they are.
    """

    sources: Iterable[tuple[str, Outage | Outages]]
    seed: int
    met: list[Outage] = field(default_factory=list[Outage])
    _waiting: list[tuple[Outage, Iterator[Outage]]] = field(
        default_factory=list[tuple[Outage, Iterator[Outage]]]
    )
    _next: float = inf
    _until: float = -inf
    _now: tuple[Outage, ...] = ()

    def __post_init__(self) -> None:
        for number, (place, source) in enumerate(self.sources):
            if isinstance(source, Outage):
                drawn = iter((source,))
            else:
                drawn = source.drawn(self.seed, f"{place}:{number}")
            self._waiting.append((next(drawn), drawn))
        self._next = min((outage.start_s for outage, _ in self._waiting), default=inf)

    def at(self, now: float) -> tuple[Outage, ...]:
        """Return what is wrong at a moment, which is not before the last one asked for."""
        if now < self._until and now < self._next:
            return self._now
        begun = [*self._now]
        while self._next <= now:
            begun.append(self._take())
        self._now = tuple(outage for outage in begun if now < outage.end_s)
        self._until = min((outage.end_s for outage in self._now), default=inf)
        return self._now

    def _take(self) -> Outage:
        """Let the next outage begin."""
        first, drawn = min(self._waiting, key=lambda each: each[0].start_s)
        self.met.append(first)
        self._waiting.remove((first, drawn))
        following = next(drawn, None)
        if following is not None:
            self._waiting.append((following, drawn))
        self._next = min((outage.start_s for outage, _ in self._waiting), default=inf)
        return first


def _minutes(p50: float, p90: float, p99: float) -> Percentiles:
    return Percentiles(p50 * 60, p90 * 60, p99 * 60)


PUBLISHED_99_58 = Outages(0.9958, _minutes(75, 307, 1518))
"""An API that was available 99.58 % of the time, and took 75, 307 and 1518 minutes (p50, p90, p99)
to come back. Measured over years at a public service: X. Chu, S. Talluri, Q. Lu, A. Iosup, "An
Empirical Characterization of Outages and Incidents in Public Services for Large Language Models",
ICPE 2025."""

PUBLISHED_99_72 = Outages(0.9972, _minutes(50, 266, 1946))
"""The other API of the same study: 99.72 %, and 50, 266 and 1946 minutes."""
