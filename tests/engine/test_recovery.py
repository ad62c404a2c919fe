"""How long a model stays away, and what makes it leave."""

from math import inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.engine.deactivation import ErrorThreshold, Verdict
from capability_router.engine.errors import NoAvailableModelError
from capability_router.engine.faults import FAULT_TABLE, Health
from capability_router.engine.outcome import Failure, FailureKind, Outcome
from capability_router.engine.reason import Reason
from capability_router.engine.recovery import Cooldown
from capability_router.engine.request import CompletionRequest
from capability_router.engine.retry import RetryPolicy
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.state import ModelState
from capability_router.engine.timing import World
from capability_router.testing.clock import ManualClock
from tests.engine.building import CHAT, Rig

STEADY = RotationPolicy(recovery=Cooldown(jitter=0.0))
SERVER_ERROR = Failure(FailureKind.SERVER_ERROR)


def world(seed: int) -> World:
    return World(ManualClock(), Random(seed))


def standbys(reason: str, kind: FailureKind | None, steps: int) -> list[float]:
    failure = Failure(kind) if kind else None
    policy = Cooldown(jitter=0.0)
    return [policy.standby_s(reason, failure, step, world(1)) for step in range(steps)]


@pytest.mark.parametrize(
    ("reason", "kind", "expected"),
    [
        (Reason.ERROR_THRESHOLD, FailureKind.SERVER_ERROR, [2, 4, 8, 10, 10]),
        (Reason.ERROR_THRESHOLD, FailureKind.CONNECTION, [2, 4, 8, 10, 10]),
        (Reason.ERROR_THRESHOLD, FailureKind.TIMEOUT, [2, 4, 8, 16, 32, 60, 60]),
        (Reason.ERROR_THRESHOLD, FailureKind.STALLED, [2, 4, 8, 16, 32, 60, 60]),
        (Reason.ERROR_THRESHOLD, None, [2, 4, 8, 10]),
        (Reason.RATE_LIMITED, FailureKind.RATE_LIMITED, [2, 4, 8, 10, 10]),
        (Reason.AUTH_FAILURE, FailureKind.AUTH, [60, 120, 240, 480, 600, 600]),
        (Reason.QUOTA_EXHAUSTED, FailureKind.QUOTA_EXHAUSTED, [300, 600, 1200, 2400, 3600, 3600]),
        (Reason.BILLING, FailureKind.BILLING, [300, 600, 1200, 2400, 3600, 3600]),
        (Reason.NOT_FOUND, FailureKind.NOT_FOUND, [600, 1200, 2400, 3600, 3600]),
        (Reason.MANUAL, None, [inf, inf]),
        ("maintenance_window", None, [inf, inf]),
    ],
)
def test_standby_doubles_up_to_the_cap_of_its_reason(
    reason: str, kind: FailureKind | None, expected: list[float]
) -> None:
    assert standbys(reason, kind, len(expected)) == expected


@given(step=st.integers(0, 10_000), seed=st.integers())
def test_jitter_adds_up_to_a_fifth_and_never_takes_away(step: int, seed: int) -> None:
    plain = Cooldown(jitter=0.0).standby_s("error_threshold", SERVER_ERROR, step, world(seed))
    drawn = Cooldown().standby_s("error_threshold", SERVER_ERROR, step, world(seed))
    assert plain <= drawn <= plain * 1.2


def test_jitter_spreads_the_returns() -> None:
    same = world(3)
    drawn = {Cooldown().standby_s("error_threshold", SERVER_ERROR, 0, same) for _ in range(50)}
    assert len(drawn) == 50
    assert max(drawn) - min(drawn) > 0.3


@given(stated=st.floats(0, 1e6, exclude_min=True), step=st.integers(0, 100))
def test_time_that_the_provider_stated_is_kept_to_the_letter(stated: float, step: int) -> None:
    failure = Failure(FailureKind.RATE_LIMITED, retry_after_s=stated)
    assert Cooldown().standby_s("rate_limited", failure, step, world(1)) == stated


@pytest.mark.parametrize(
    ("step", "healthy_s", "left"),
    [(3, 0.0, 3), (3, 9.99, 3), (3, 10.0, 2), (3, 29.9, 1), (3, 30.0, 0), (3, 1e9, 0), (0, 0, 0)],
)
def test_one_step_is_forgotten_per_ten_healthy_seconds(
    step: int, healthy_s: float, left: int
) -> None:
    assert Cooldown().steps_left(step, healthy_s) == left


@pytest.mark.parametrize(
    "wrong", [{"initial_s": 0.0}, {"initial_s": -1.0}, {"initial_s": 3.0, "max_s": 2.0}]
)
def test_cooldown_that_cannot_work_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be above 0 and at most max_s"):
        Cooldown(**wrong)  # type: ignore[arg-type]  # floats only


def test_reasons_may_have_other_times() -> None:
    policy = Cooldown(jitter=0.0, reason_cooldowns={"manual": (5.0, 7.0)})
    assert [policy.standby_s("manual", None, step, world(1)) for step in range(3)] == [5, 7, 7]
    assert policy.standby_s(Reason.AUTH_FAILURE, None, 0, world(1)) == inf


def until_due(rig: Rig) -> float:
    wait_s = rig.router.pool("chat-completion").next_trial_s(CompletionRequest(CHAT), CHAT)
    assert wait_s is not None
    return wait_s


def test_each_failed_trial_makes_the_next_standby_longer() -> None:
    rig = Rig("a/x", policy=STEADY)
    rig.fail_out("a/x")
    waits = [until_due(rig)]
    for _ in range(4):
        rig.clock.advance(waits[-1])
        rig.fail(FailureKind.SERVER_ERROR)
        waits.append(until_due(rig))
    assert waits == [2, 4, 8, 10, 10]


def test_model_that_relapses_at_once_goes_on_where_it_was() -> None:
    rig = Rig("a/x", policy=STEADY)
    rig.serve()
    rig.clock.advance(1000)
    rig.fail_out("a/x")
    rig.clock.advance(2)
    assert rig.serve() == "a/x"
    rig.fail_out("a/x")
    assert until_due(rig) == 4


def test_model_that_stayed_healthy_starts_from_the_beginning() -> None:
    rig = Rig("a/x", policy=STEADY)
    rig.fail_out("a/x")
    rig.clock.advance(2)
    assert rig.serve() == "a/x"
    rig.clock.advance(10)
    rig.fail_out("a/x")
    assert until_due(rig) == 2


def test_time_on_standby_is_no_healthy_time() -> None:
    rig = Rig("a/x", policy=STEADY)
    rig.fail_out("a/x")
    rig.clock.advance(1000)
    rig.fail(FailureKind.SERVER_ERROR)
    assert until_due(rig) == 4


def test_stated_time_does_not_make_later_standbys_longer() -> None:
    rig = Rig("a/x", policy=STEADY)
    rig.fail(FailureKind.RATE_LIMITED, retry_after_s=7.0)
    assert until_due(rig) == 7
    rig.clock.advance(7)
    assert rig.serve() == "a/x"
    rig.fail_out("a/x")
    assert until_due(rig) == 2


def test_late_news_of_a_stated_time_extends_a_standby_and_never_shortens_it() -> None:
    rig = Rig("a/x", policy=STEADY)
    leases = [rig.select() for _ in range(4)]
    for lease, stated in zip(leases, (30.0, 5.0, 60.0, 10.0), strict=True):
        outcome = Outcome.failed(FailureKind.RATE_LIMITED, retry_after_s=stated)
        rig.router.report(lease, outcome)
    assert until_due(rig) == 60
    assert [str(event.type) for event in rig.events[1:]] == [
        "model_deactivated",
        "standby_extended",
    ]


def test_late_failures_of_a_burst_change_nothing_more() -> None:
    rig = Rig("a/x", policy=STEADY)
    for lease in [rig.select() for _ in range(20)]:
        rig.router.report(lease, Outcome(SERVER_ERROR))
    assert until_due(rig) == 2
    assert len(rig.events) == 2


@pytest.mark.parametrize("kind", [k for k, r in FAULT_TABLE.items() if r.health is Health.COUNTS])
def test_third_counted_failure_in_a_row_sends_a_model_away(kind: FailureKind) -> None:
    rig = Rig("a/x")
    for _ in range(2):
        rig.fail(kind)
        assert rig.standby() == []
    rig.fail(kind)
    assert rig.standby() == ["a/x"]
    assert rig.events[-1].reason == "error_threshold"


def test_success_between_starts_the_count_again() -> None:
    rig = Rig("a/x")
    for _ in range(5):
        rig.fail(FailureKind.SERVER_ERROR)
        rig.fail(FailureKind.TIMEOUT)
        rig.serve()
    assert rig.standby() == []


def test_recovery_by_hand_forgets_the_failures_in_a_row() -> None:
    rig = Rig("a/x")
    rig.fail_out("a/x")
    rig.router.recover("a/x")
    rig.fail(FailureKind.SERVER_ERROR)
    assert rig.active() == ["a/x"]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (FailureKind.AUTH, "auth_failure"),
        (FailureKind.BILLING, "billing"),
        (FailureKind.QUOTA_EXHAUSTED, "quota_exhausted"),
        (FailureKind.NOT_FOUND, "not_found"),
        (FailureKind.RATE_LIMITED, "rate_limited"),
    ],
)
def test_one_failure_is_enough_where_the_table_says_so(kind: FailureKind, reason: str) -> None:
    rig = Rig("a/x")
    rig.fail(kind)
    assert (rig.standby(), rig.events[-1].reason) == (["a/x"], reason)


def test_policy_judges_by_its_threshold_alone() -> None:
    policy, rule = ErrorThreshold(consecutive=2), FAULT_TABLE[FailureKind.SERVER_ERROR]
    one, two = ModelState(consecutive_failures=1), ModelState(consecutive_failures=2)
    assert policy.judge(one, SERVER_ERROR, rule, 0.0) is None
    assert policy.judge(two, SERVER_ERROR, rule, 0.0) == Verdict("error_threshold")


def test_threshold_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="consecutive 0"):
        ErrorThreshold(consecutive=0)


def test_zero_attempts_are_refused() -> None:
    with pytest.raises(ValueError, match="max_attempts 0"):
        RetryPolicy(max_attempts=0)


def test_model_on_standby_for_a_stated_reason_is_not_tried_early() -> None:
    rig = Rig("a/x", policy=STEADY)
    rig.fail(FailureKind.RATE_LIMITED)
    rig.clock.advance(1.99)
    with pytest.raises(NoAvailableModelError):
        rig.select()
    rig.clock.advance(0.01)
    assert rig.select().probe
