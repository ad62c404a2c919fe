"""A provider that is down for a minute, and requests that go on meanwhile."""

from __future__ import annotations

from capability_router.lab import overloaded
from tests.faults.case import Case
from tests.faults.playing import Report, stage_for, tried
from tests.faults.stage import Bench, Stage
from tests.faults.surfaces import Surface

__all__ = ["OUTAGE", "play_outage"]

EVERY_S = 4.0
DOWN_S = 60.0
REQUESTS = 20
BACK_WITHIN_S = 16.0

OUTAGE = Case(
    "15",
    "down for 60 s, then well: a request every 4 s",
    asked_words=6,
    default="complete: all twenty, alpha again within 16 s",
    patient="complete: all twenty, alpha again within 16 s",
)


def play_outage(surface: Surface, profile: str, bench: Bench, seed: int) -> Report:
    """Ask twenty times, in the time of the router's clock."""
    stage = stage_for(OUTAGE, profile, bench, seed)
    began, back_at = bench.clock.now(), None
    stage.lab["alpha"].fault = overloaded()
    complaints: list[str] = []
    for number in range(REQUESTS):
        at_s = number * EVERY_S
        bench.clock.advance(max(0.0, began + at_s - bench.clock.now()))
        if at_s >= DOWN_S:
            stage.lab["alpha"].heal()
        complaints += _asked_once(surface, stage, at_s)
        served = stage.router.decisions[-1].served_by or ""
        if at_s >= DOWN_S and served.startswith("alpha"):
            back_at = at_s if back_at is None else back_at
        elif back_at is not None:
            complaints.append(f"alpha served at {back_at} s, and not at {at_s} s")
    if back_at is None or back_at > DOWN_S + BACK_WITHIN_S:
        complaints.append(f"alpha has served again at {back_at} s")
    told = "complete: all twenty, alpha again within 16 s"
    return Report("; ".join(complaints) or told, tuple(complaints))


def _asked_once(surface: Surface, stage: Stage, at_s: float) -> list[str]:
    """Ask, and see that nobody is asked who is known to be away."""
    resting = {
        state.model.partition("/")[0]
        for state in stage.router.pool("chat-completion").get_standby()
        if state.until is not None and state.until > stage.clock.now()
    }
    seen = surface.ask(stage)
    decision = stage.router.decisions[-1]
    asked = [each.provider for each in decision.attempts]
    complaints: list[str] = []
    if seen.error is not None or seen.text not in map(stage.asked.answer_of, ("alpha", "beta")):
        complaints.append(f"at {at_s} s the caller has {seen.text!r} and {seen.error!r}")
    if resting & set(asked):
        complaints.append(f"at {at_s} s somebody on standby is asked: {tried(decision)}")
    probes = [each for each in decision.attempts if each.probe]
    if len(probes) > 1:
        complaints.append(f"at {at_s} s one cooldown costs two calls: {tried(decision)}")
    return complaints
