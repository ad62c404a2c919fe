"""What statistics have to say, counted anew from all that a router has told."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import cast

from capability_router.engine.events import EventType, RoutingEvent
from capability_router.engine.outcome import Attempt, FailureKind
from capability_router.engine.statistics import Statistics

PRICE_IN, PRICE_OUT = 2.0, 10.0


@dataclass
class Standings:
    """Who was on standby when, replayed from events; the slow and simple way."""

    models: set[str] = field(default_factory=set[str])
    members: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    away: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    down_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    standbys: Counter[str] = field(default_factory=Counter[str])
    at: float = 0.0

    def pass_until(self, now: float) -> None:
        for name in self.down():
            self.down_s[name] += now - self.at
        self.at = now

    def down(self) -> set[str]:
        """Return the models, providers and pools that are down, by a letter and their names."""
        resting = {model for pool in self.away.values() for model in pool}
        providers = {model[0] for model in self.models}
        pools = {name for name, own in self.members.items() if own and own == self.away[name]}
        return {
            *(f"m {model}" for model in resting),
            *(f"p {each}" for each in providers if own_of(each, self.models) <= resting),
            *(f"pool {name}" for name in pools),
        }

    def take(self, event: RoutingEvent) -> None:
        self.pass_until(event.at)
        before = self.down()
        match event.type:
            case EventType.MODELS_UPDATED:
                added, removed = (ids_in(event, which) for which in ("added", "removed"))
                self.models = (self.models - removed) | added
                for name in [name for name in self.down_s if name[:2] == "p "]:
                    if not own_of(name[2:], self.models):
                        del self.down_s[name]
            case EventType.POOL_MEMBERSHIP_CHANGED if event.reason == "added":
                self.members[event.pool].add(event.model)
            case EventType.POOL_MEMBERSHIP_CHANGED:
                self.members[event.pool].discard(event.model)
                self.away[event.pool].discard(event.model)
            case EventType.MODEL_DEACTIVATED:
                self.away[event.pool].add(event.model)
                self.standbys[f"pool {event.pool}"] += 1
                self.standbys[f"m {event.model}"] += f"m {event.model}" not in before
            case EventType.MODEL_ACTIVATED:
                self.away[event.pool].discard(event.model)
            case _:
                pass


def ids_in(event: RoutingEvent, which: str) -> set[str]:
    told = event.details[which]
    assert isinstance(told, list)
    return set(cast("list[str]", told))


def own_of(provider: str, models: Iterable[str]) -> set[str]:
    return {model for model in models if model[0] == provider}


def counted(tried: Sequence[Attempt]) -> dict[str, object]:
    """Count attempts, as ``told`` tells of statistics."""
    served = [attempt for attempt in tried if attempt.kind is None]
    failed = Counter(str(attempt.kind) for attempt in tried if attempt.kind is not None)
    # A caller that has left says nothing of a model.
    del failed[FailureKind.CANCELLED]
    tokens_in = sum(attempt.usage.input_tokens for attempt in served)
    tokens_out = sum(attempt.usage.output_tokens for attempt in served)
    times = sorted(attempt.latency_s for attempt in served)
    return {
        "requests": len(tried),
        "successes": len(served),
        "failures": dict(failed),
        "tokens": (tokens_in, tokens_out),
        "cost_usd": round((tokens_in * PRICE_IN + tokens_out * PRICE_OUT) / 1e6, 9),
        "latency_mean_s": round(sum(times) / len(times), 9) if times else None,
        "p50": times[ceil(0.5 * len(times)) - 1] if times else None,
        "p95": times[ceil(0.95 * len(times)) - 1] if times else None,
    }


def told(statistics: Statistics, exact: dict[str, object]) -> dict[str, object]:
    """Return statistics as ``counted`` does; a percentile that is near enough is the exact one."""
    mean = statistics.latency_mean_s
    return {
        "requests": statistics.requests,
        "successes": statistics.successes,
        "failures": statistics.as_dict()["failures"],
        "tokens": (statistics.input_tokens, statistics.output_tokens),
        "cost_usd": round(statistics.cost_usd, 9),
        "latency_mean_s": None if mean is None else round(mean, 9),
        "p50": near(statistics.latency_p50_s, exact["p50"]),
        "p95": near(statistics.latency_p95_s, exact["p95"]),
    }


def near(told_s: float | None, exact_s: object) -> object:
    if told_s is None or not isinstance(exact_s, float):
        return told_s
    return exact_s if abs(told_s - exact_s) <= 0.0100001 * exact_s else told_s
