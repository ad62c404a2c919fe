"""Pools, models, providers, decisions and events, rebuilt from records; pure.

Knows no router, no file and no clock: whoever feeds it brings records, and all times that it tells
are seconds since 1970. Three kinds of records are known: ``event``, ``decision``, and ``state``,
which says how things stand and so begins a view or heals one that has missed something.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import cast

from capability_router.engine.untrusted import shown
from capability_router.watching.choices import choice_rows
from capability_router.watching.fields import Record, mapping, mappings, number, text
from capability_router.watching.standing import PoolView, ProviderView, Standing, Tally
from capability_router.watching.wording import event_words

__all__ = ["View"]

_LATE_S = 60.0
"""Two threads may hand over their events in the wrong order, by moments. What is further back is
of another start of the machine, whose monotonic clock began anew."""
_SHOWN_ATTEMPTS = 20

Change = Callable[[Standing, Record, float], None]


class View:
    """What is known of a router after some records.

    Args:
        kept: How many events, and how many decisions, are kept; the oldest are dropped.

    Attributes:
        pools: The pools by name, in the order they came up.
        providers: The providers by id, of which something is known.
        tallies: What the decisions tell of each model, by its id.
        events: The last events, oldest first, as rows to show; ``n`` of each is its ``revision``.
        decisions: The last decisions, likewise.
        revision: How many records were taken.
        skipped: How many records were not understood.
    """

    def __init__(self, kept: int = 100) -> None:
        self.pools: dict[str, PoolView] = {}
        self.providers: dict[str, ProviderView] = {}
        self.tallies: dict[str, Tally] = {}
        self.events: deque[dict[str, object]] = deque(maxlen=kept)
        self.decisions: deque[dict[str, object]] = deque(maxlen=kept)
        self._decided: deque[Record] = deque(maxlen=kept)
        self.revision = 0
        self.skipped = 0

    def take(self, record: Record) -> dict[str, object] | None:
        """Change what the record changes.

        Returns:
            The row to show of an event or a decision; None for other records, among them those
            that are not understood, which are counted in ``skipped``.
        """
        wall = number(record, "wall")
        if wall is None:
            self.skipped += 1
            return None
        row: dict[str, object] | None = None
        match record.get("record"):
            case "event" if text(record, "type"):
                row = self._take_event(record, wall)
                self.events.append(row)
            case "decision" if text(record, "capability"):
                row = self._take_decision(record, wall)
                self.decisions.append(row)
                self._decided.append(record)
            case "state":
                self._take_state(record)
            case _:
                self.skipped += 1
                return None
        self.revision += 1
        if row is not None:
            row["n"] = self.revision
        return row

    def state(self) -> dict[str, object]:
        """Return how things stand as JSON-ready values; events and decisions are not in it."""
        return {
            "pools": [pool.as_dict(name) for name, pool in self.pools.items()],
            "providers": [
                {"id": name, "health": each.health, "reason": each.reason, "since": each.since}
                for name, each in self.providers.items()
            ],
            "models": {model: tally.as_dict() for model, tally in self.tallies.items()},
            "counts": self.counts(),
            "skipped": self.skipped,
        }

    def counts(self) -> dict[str, int]:
        """Return how many models are on standby in any pool, on trial in any, or active in all."""
        states: dict[str, set[str]] = {"standby": set(), "on_trial": set(), "active": set()}
        for pool in self.pools.values():
            for model, standing in pool.members.items():
                states.setdefault(standing.state, set()).add(model)
        others = set[str]().union(*(ids for state, ids in states.items() if state != "active"))
        counts = {state: len(ids) for state, ids in states.items()}
        return counts | {"active": len(states["active"] - others)}

    def whole_rows_after(self, revision: int) -> list[dict[str, object]]:
        """Return the same rows as ``rows_after``, those of decisions with their choices.

        They are read only now: a long log has many times the decisions that are ever shown.
        """
        told = zip(self.decisions, self._decided, strict=True)
        records = {row["n"]: record for row, record in told}
        rows = self.rows_after(revision)
        return [
            row | choice_rows(records[row["n"]]) if row["n"] in records else row for row in rows
        ]

    def rows_after(self, revision: int) -> list[dict[str, object]]:
        """Return the events and decisions that came after a revision, oldest first."""
        rows = (*self.events, *self.decisions)
        later = [(n, row) for row in rows if isinstance(n := row["n"], int) and n > revision]
        return [row for _, row in sorted(later, key=lambda each: each[0])]

    def _take_event(self, record: Record, wall: float) -> dict[str, object]:
        kind, pool, model = text(record, "type"), text(record, "pool"), text(record, "model")
        until = _until(record, wall)
        if pool and model:
            self._take_standing(kind, record, wall)
        elif pool:
            self._take_pool(kind, self._pool(pool), text(record, "reason"), until)
        elif kind.startswith("provider_"):
            self._take_provider(kind, record, wall)
        tone, words = event_words(kind, text(record, "reason"))
        return {
            "record": "event",
            "wall": wall,
            "type": kind,
            "tone": tone,
            "words": words,
            "pool": pool,
            "model": model,
            "reason": text(record, "reason"),
            "until": until,
            "details": {
                shown(str(key)): words
                for key, value in _details(record)
                if (words := _plain(value))
            },
        }

    def _take_standing(self, kind: str, record: Record, wall: float) -> None:
        pool, model = self._pool(text(record, "pool")), text(record, "model")
        at = number(record, "at") or 0.0
        known = pool.members.get(model)
        if known is not None and 0 < known.at - at < _LATE_S:
            return
        if kind == "pool_membership_changed":
            pool.members.pop(model, None)
            if text(record, "reason") == "added":
                self._tally(model)
                pool.members[model] = Standing(since=wall, at=at)
        elif kind in _CHANGES:
            self._tally(model)
            standing = pool.members.setdefault(model, Standing())
            _CHANGES[kind](standing, record, wall)
            standing.at = at

    def _take_pool(self, kind: str, pool: PoolView, reason: str, until: float | None) -> None:
        if kind in {"pool_closed", "standby_extended"}:
            pool.closed, pool.closed_until = reason or "limit", until
        elif kind == "pool_opened":
            pool.closed, pool.closed_until = "", None

    def _take_provider(self, kind: str, record: Record, wall: float) -> None:
        details = mapping(record, "details")
        name = text(details, "provider")
        health = text(details, "to") or text(details, "health") or _HEALTH.get(kind)
        if name and health:
            self.providers[name] = ProviderView(health, text(record, "reason"), wall)

    def _take_decision(self, record: Record, wall: float) -> dict[str, object]:
        attempts = [_attempt(each) for each in mappings(record, "attempts")]
        for attempt in attempts:
            self._take_attempt(attempt, wall)
        pool, served_by = text(record, "pool"), text(record, "served_by")
        if pool and served_by:
            # A log may have begun after its members joined.
            self._pool(pool).members.setdefault(served_by, Standing())
        at, started_at = number(record, "at"), number(record, "started_at")
        return {
            "record": "decision",
            "wall": wall,
            "capability": text(record, "capability"),
            "pool": pool,
            "served_by": served_by,
            "panic": record.get("panic") is True,
            "degraded_to": text(record, "degraded_to"),
            "took_s": None if at is None or started_at is None else max(0.0, at - started_at),
            "attempts": attempts[:_SHOWN_ATTEMPTS],
            "omitted": max(0, len(attempts) - _SHOWN_ATTEMPTS),
        }

    def _take_attempt(self, attempt: Record, wall: float) -> None:
        tally = self._tally(text(attempt, "model"), text(attempt, "provider"))
        kind = text(attempt, "kind")
        tally.last_at = wall
        if not kind:
            tally.answers += 1
            tally.latency_s = number(attempt, "latency_s")
        elif kind != "cancelled":
            tally.failures += 1

    def _take_state(self, record: Record) -> None:
        self.pools = {text(pool, "name"): _pool(pool) for pool in mappings(record, "pools")}
        for model in mappings(record, "models"):
            self.tallies[text(model, "model")] = Tally(
                text(model, "provider"),
                int(number(model, "answers") or 0),
                int(number(model, "failures") or 0),
                number(model, "latency_s"),
                number(model, "last_at"),
            )
        self.providers = {
            text(each, "provider"): ProviderView(text(each, "health") or "healthy")
            for each in mappings(record, "providers")
        }

    def _pool(self, name: str) -> PoolView:
        return self.pools.setdefault(name, PoolView())

    def _tally(self, model: str, provider: str = "") -> Tally:
        known = self.tallies.setdefault(model, Tally(model.partition("/")[0]))
        known.provider = provider or known.provider
        return known


def _leave(standing: Standing, record: Record, wall: float) -> None:
    _wait(standing, record, wall)
    standing.since = wall


def _wait(standing: Standing, record: Record, wall: float) -> None:
    """End the trial, if there was one, and wait for what the event says."""
    _extend(standing, record, wall)
    standing.state = "standby"


def _extend(standing: Standing, record: Record, wall: float) -> None:
    """Take another reason and end; a trial in flight goes on."""
    if standing.state == "active":
        standing.state = "standby"
    standing.reason, standing.until = text(record, "reason"), _until(record, wall)
    standing.spared = False


def _start_trial(standing: Standing, record: Record, wall: float) -> None:
    _extend(standing, record, wall)
    standing.state = "on_trial"


def _activate(standing: Standing, _record: Record, wall: float) -> None:
    standing.state, standing.reason, standing.until = "active", "", None
    standing.since, standing.spared = wall, False


def _spare(standing: Standing, record: Record, wall: float) -> None:
    if standing.state == "active":
        standing.reason, standing.until = text(record, "reason"), _until(record, wall)
        standing.spared = True


_CHANGES: Mapping[str, Change] = MappingProxyType(
    {
        "model_deactivated": _leave,
        "model_activated": _activate,
        "model_spared": _spare,
        "probe_started": _start_trial,
        "probe_failed": _wait,
        "probe_returned": _wait,
        "standby_extended": _extend,
        "standby_restored": _extend,
    }
)
"""What an event about a model of a pool does to its standing; others do nothing to it."""

_HEALTH: Mapping[str, str] = MappingProxyType(
    {"provider_deactivated": "down", "provider_recovered": "healthy"}
)


def _until(record: Record, wall: float) -> float | None:
    until, at = number(record, "until"), number(record, "at")
    return None if until is None or at is None else wall + until - at


def _details(record: Record) -> list[tuple[str, object]]:
    return list(mapping(record, "details").items())[:_SHOWN_ATTEMPTS]


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        value = ", ".join(str(each) for each in cast("Sequence[object]", value)[:_SHOWN_ATTEMPTS])
    return shown(str(value))


def _attempt(record: Record) -> dict[str, object]:
    status = number(record, "status")
    return {
        "model": text(record, "model"),
        "provider": text(record, "provider"),
        "kind": text(record, "kind"),
        "status": None if status is None else int(status),
        "latency_s": number(record, "latency_s"),
        "probe": record.get("probe") is True,
        "hedge": record.get("hedge") is True,
    }


def _pool(record: Record) -> PoolView:
    members = {text(each, "model"): _standing(each) for each in mappings(record, "models")}
    closed, until = text(record, "closed"), number(record, "closed_until")
    return PoolView(text(record, "node"), members, closed, until)


def _standing(record: Record) -> Standing:
    return Standing(
        text(record, "state") or "active",
        text(record, "reason"),
        number(record, "since"),
        number(record, "until"),
        record.get("spared") is True,
    )
