"""What a view says and what a router says of its pools, in the same words."""

from __future__ import annotations

from capability_router import CapabilityRouter
from capability_router.watching.fields import Record
from capability_router.watching.view import View

Told = dict[str, tuple[str, str, float | None]]
"""State, reason and end of each model's standby, by the id of the model."""


def told_by_router(router: CapabilityRouter, pool: str) -> Told:
    told: Told = {model.id: ("active", "", None) for model in router.pool(pool).get_active_models()}
    offset = router.clock.wall() - router.clock.now()
    for state in router.pool(pool).get_standby():
        until = None if state.until is None else round(state.until + offset, 3)
        told[state.model] = ("on_trial" if state.on_trial else "standby", state.reason, until)
    return told


def told_by_view(view: View, pool: str) -> Told:
    if pool not in view.pools:
        return {}
    return {
        model: ("active", "", None)
        if standing.state == "active"
        else (
            standing.state,
            standing.reason,
            None if standing.until is None else round(standing.until, 3),
        )
        for model, standing in view.pools[pool].members.items()
    }


def viewed(*records: Record) -> View:
    view = View()
    for record in records:
        view.take(record)
    return view


def event(kind: str, *, at: float = 0.0, **more: object) -> Record:
    """An event in the pool ``text`` about the model ``a/1``, unless told otherwise."""
    facts: dict[str, object] = {"pool": "text", "model": "a/1", "reason": "", "until": None}
    return {"record": "event", "wall": 1000.0 + at, "type": kind, "at": at} | facts | more


def decision(served_by: str | None, *tried: tuple[str, str | None], **more: object) -> Record:
    attempts = [
        {"model": m, "provider": m[0], "kind": kind, "status": None, "latency_s": 0.5}
        for m, kind in tried
    ]
    facts: dict[str, object] = {"capability": "chat-completion", "pool": "text", "at": 2.0}
    facts |= {"served_by": served_by, "attempts": attempts, "panic": False, "degraded_to": None}
    return {"record": "decision", "wall": 1000.0} | facts | more
