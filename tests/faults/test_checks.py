"""The table's checks find what they are there for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from capability_router import CompletionRequest, FailureKind
from capability_router.lab import filtered, hang, ok, rate_limited, redirect, server_error
from tests.faults.case import Case, always, once
from tests.faults.cells import CELLS
from tests.faults.hearing import Seen
from tests.faults.playing import Report, play
from tests.faults.scorecard import Score, as_json, as_markdown, wilson
from tests.faults.stage import Bench, Stage
from tests.faults.surfaces import SURFACES, Surface

CHAT = SURFACES[0]
WELL = Case("0", "nothing", "complete: alpha served", "complete: alpha served", alpha=always(ok()))


def heard_as(change: Callable[[Seen, Stage], object]) -> Surface:
    """Return a surface whose caller sees something else than came."""

    class Changed(Surface):
        def ask(self, stage: Stage, *_: Any) -> Seen:
            seen = CHAT.ask(stage)
            change(seen, stage)
            return seen

    return Changed(CHAT.place, CHAT.streamed, CHAT.open, CHAT.is_async)


def without_a_word(seen: Seen, _: Stage) -> None:
    seen.text = seen.text.replace(" echoes:", "")


def with_a_word_twice(seen: Seen, _: Stage) -> None:
    seen.text += " " + seen.text.split()[-1]


def with_another_end(seen: Seen, _: Stage) -> None:
    seen.finishes.append("length")


def with_other_tokens(seen: Seen, _: Stage) -> None:
    seen.usage = (58, 61)


def with_another_model(seen: Seen, _: Stage) -> None:
    seen.served_by = "beta/model-of-beta"


def with_a_failure(seen: Seen, stage: Stage) -> None:
    seen.error = LookupError("lab-key")


def with_one_more_request(_: Seen, stage: Stage) -> None:
    CHAT.ask(stage)


def with_blame(_: Seen, stage: Stage) -> None:
    stage.state("beta").consecutive_failures = 1


def with_a_bill(_: Seen, stage: Stage) -> None:
    stage.state("beta").cost_usd = 0.1


def with_a_lease(_: Seen, stage: Stage) -> None:
    stage.router.select(CompletionRequest("chat-completion"))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (without_a_word, "instead of"),
        (with_a_word_twice, "instead of"),
        (with_another_end, "finish reasons ['stop', 'length']"),
        (with_other_tokens, "the caller is told (58, 61) tokens, not (58, 60)"),
        (with_another_model, "the caller is told that beta/model-of-beta has served"),
        (with_a_failure, "the error tells the key"),
        (with_one_more_request, "alpha has 2 requests, 1 at most"),
        (with_blame, "beta is blamed"),
        (with_a_bill, "beta is charged 0.1 USD"),
        (with_a_lease, "alpha has a lease that has not ended"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_should_not_be_seen_is_complained_of(
    shared: Bench, change: Callable[[Seen, Stage], object], complaint: str
) -> None:
    assert play(WELL, CHAT, "default", shared).complaints == ()
    found = play(WELL, heard_as(change), "default", shared).complaints
    assert any(complaint in each for each in found), found


@pytest.mark.parametrize(
    "case",
    [
        replace(WELL, alpha=once(server_error())),
        replace(WELL, alpha=always(filtered(10))),
        replace(WELL, alpha=always(redirect()), default="complete: alpha connection, beta served"),
    ],
    ids=["another outcome", "another text", "too many requests"],
)
def test_fault_that_comes_to_something_else_is_complained_of(shared: Bench, case: Case) -> None:
    assert play(case, CHAT, "default", shared).complaints


def test_wait_that_is_not_kept_is_complained_of(shared: Bench) -> None:
    case = replace(
        WELL,
        alpha=once(rate_limited(1)),
        patient="complete: alpha rate_limited, alpha served",
        stated_s=2.0,
    )
    (complaint,) = play(case, CHAT, "patient", shared).complaints
    assert complaint.startswith("asked again after 1.0")


def test_silence_ends_by_the_limit_and_not_by_the_answer(shared: Bench) -> None:
    case = replace(WELL, alpha=always(hang()), is_waited_for=True)
    assert str(FailureKind.TIMEOUT) in play(case, CHAT, "default", shared).outcome


@pytest.mark.parametrize(
    ("passed", "total", "low", "high"),
    # The first three of Wilson's intervals stand in any table of them.
    [(10, 10, 0.7225, 1.0), (0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (1, 1, 0.2065, 1.0)],
)
def test_interval_is_wilsons(passed: int, total: int, low: float, high: float) -> None:
    assert wilson(passed, total) == pytest.approx((low, high), abs=1e-4)


def test_interval_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one count"):
        wilson(0, 0)


def test_scorecard_tells_what_failed() -> None:
    good, bad = Score(CELLS[0]), Score(CELLS[1])
    good.reports = [Report("complete", ())] * 3
    bad.reports = [Report("complete", ()), Report("all failed", ("a word is lost",))]
    page = as_markdown([good, bad])
    assert "| 4/5 | 37.6% to 96.4% | complete; all failed |" in page
    assert page.endswith(f"- {CELLS[1]}: 1 of 2: a word is lost\n")
    assert as_json([good, bad])["all"] == {
        "passed": 4,
        "total": 5,
        "interval_95": [pytest.approx(0.3755, abs=1e-4), pytest.approx(0.9638, abs=1e-4)],
    }
