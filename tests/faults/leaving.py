"""Callers who leave in the middle of an answer."""

from __future__ import annotations

from capability_router.lab import hang, silent_stream
from tests.faults.case import NO, Case
from tests.faults.hearing import Seen
from tests.faults.playing import LEFT, Report, check_left, stage_for
from tests.faults.stage import Bench
from tests.faults.surfaces import Surface

__all__ = ["CANCELLED", "CANCELLED_AT_FIRST", "CLOSED", "play_leaving"]

CLOSED = Case("28a", "the caller closes the stream after 20 tokens", (NO, LEFT))
CANCELLED = Case("28b", "the caller's task is cancelled after 20 tokens", (NO, LEFT))
CANCELLED_AT_FIRST = Case("28c", "the caller's task is cancelled before the first token", LEFT)


def play_leaving(case: Case, surface: Surface, profile: str, bench: Bench, seed: int) -> Report:
    """Leave while alpha is silent: nothing but the leaving can end the request."""
    stage = stage_for(case, profile, bench, seed)
    at_first = case is CANCELLED_AT_FIRST
    stage.lab["alpha"].fault = hang() if at_first else silent_stream(20)

    def has_enough(seen: Seen) -> bool:
        return at_first or len(seen.text.split()) == 20

    if case is CLOSED:
        return check_left(stage, surface.ask(stage, has_enough))
    return check_left(stage, surface.cancel(stage, has_enough))
