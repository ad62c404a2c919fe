"""What a call decides about a second attempt beside a slow one."""

from collections.abc import Callable

import pytest

from capability_router.engine.call import Call
from capability_router.engine.errors import AllModelsFailedError
from capability_router.engine.hedge import Hedge
from capability_router.engine.limits import Limit, Unit
from capability_router.engine.model import Model
from capability_router.engine.outcome import Failure, FailureKind, Usage
from capability_router.engine.request import CompletionRequest
from capability_router.engine.retry import Interruption, RetryBudget, RetryPolicy
from capability_router.engine.rotation import Degrade, RotationPolicy
from capability_router.engine.selection import Priority
from capability_router.engine.steps import Stop, Try
from capability_router.engine.tempo import RecentTimes, Tempo
from tests.engine.building import CHAT, CODE, Rig, model
from tests.engine.streaming import prefilling

DOWN = Failure(FailureKind.SERVER_ERROR, status=500)


def hedging(
    retry: RetryPolicy | None = None,
    hedge: Hedge | None = None,
    degrade: tuple[Degrade, ...] = (),
) -> RotationPolicy:
    return RotationPolicy(
        selection=Priority,
        retry=retry or RetryPolicy(),
        hedge=hedge or Hedge(after_s=1.0),
        degrade=degrade,
    )


def two(retry: RetryPolicy | None = None) -> Rig:
    return Rig("a/x", "b/y", policy=hedging(retry))


def begun(rig: Rig, request: CompletionRequest | str = CHAT) -> tuple[Call, Try]:
    call = rig.router.plan(request)
    step = call.next()
    assert isinstance(step, Try)
    return call, step


def hedged(rig: Rig) -> tuple[Call, Try, Try]:
    call, first = begun(rig)
    second = call.hedge()
    assert second is not None
    return call, first, second


def in_flight(rig: Rig) -> dict[str, int]:
    return {each.id: rig.router.state(each.id).in_flight for each in rig.router.models}


def test_second_attempt_takes_another_active_model_and_there_is_no_third() -> None:
    rig = Rig("a/x", "b/y", "c/z", policy=hedging())
    call, first, second = hedged(rig)
    assert (first.model.id, first.hedge) == ("a/x", False)
    assert (second.model.id, second.hedge) == ("b/y", True)
    assert call.hedge() is None
    assert in_flight(rig) == {"a/x": 1, "b/y": 1, "c/z": 0}


@pytest.mark.parametrize("first_wins", [True, False])
def test_attempt_that_comes_first_serves_and_the_other_one_is_let_go(*, first_wins: bool) -> None:
    rig = two()
    call, first, second = hedged(rig)
    winner, loser = (first, second) if first_wins else (second, first)
    rig.clock.advance(2.0)
    call.won(winner)
    call.succeeded(Usage(3, 4), winner)
    assert in_flight(rig) == {"a/x": 0, "b/y": 0}
    assert rig.health() == {"a/x": (0, False), "b/y": (0, False)}
    won, lost = rig.router.state(winner.model.id), rig.router.state(loser.model.id)
    assert (won.successes, won.output_tokens, won.failures) == (1, 4, 0)
    assert (lost.successes, lost.output_tokens, lost.failures) == (0, 0, 0)
    (decision,) = rig.router.decisions
    assert decision.served_by == winner.model.id
    assert [(a.model, a.kind, a.hedge) for a in decision.attempts] == [
        (loser.model.id, FailureKind.CANCELLED, loser.hedge),
        (winner.model.id, None, winner.hedge),
    ]


def test_answer_that_is_reported_alone_lets_the_other_attempt_go_as_well() -> None:
    rig = two()
    call, first, _ = hedged(rig)
    call.succeeded(step=first)
    assert in_flight(rig) == {"a/x": 0, "b/y": 0}


def test_failure_of_one_leaves_the_other_one_running() -> None:
    rig = two()
    call, first, second = hedged(rig)
    call.failed(DOWN, first)
    assert in_flight(rig) == {"a/x": 0, "b/y": 1}
    call.succeeded(step=second)
    assert rig.health() == {"a/x": (1, False), "b/y": (0, False)}
    assert [attempt.kind for attempt in call.attempts] == [FailureKind.SERVER_ERROR, None]


def test_failure_of_both_is_one_error_with_both_attempts() -> None:
    rig = two()
    call, first, second = hedged(rig)
    call.failed(DOWN, second)
    call.failed(DOWN, first)
    step = call.next()
    assert isinstance(step, Stop)
    assert isinstance(step.error, AllModelsFailedError)
    told = [(attempt.model, attempt.hedge) for attempt in step.error.attempts]
    assert told == [("b/y", True), ("a/x", False)]


def test_caller_who_leaves_ends_both() -> None:
    rig = two()
    call, _, _ = hedged(rig)
    call.cancelled()
    assert in_flight(rig) == {"a/x": 0, "b/y": 0}
    assert rig.health() == {"a/x": (0, False), "b/y": (0, False)}
    (decision,) = rig.router.decisions
    assert [attempt.kind for attempt in decision.attempts] == [FailureKind.CANCELLED] * 2


def test_model_that_is_alone_gets_no_second_attempt() -> None:
    rig = Rig("a/x", policy=hedging())
    call, _ = begun(rig)
    assert call.hedge() is None
    assert in_flight(rig) == {"a/x": 1}


def test_model_that_failed_before_in_this_call_is_no_second_attempt() -> None:
    call, first = begun(two())
    call.failed(DOWN, first)
    assert isinstance(call.next(), Try)
    assert call.hedge() is None


@pytest.mark.parametrize("due", [True, False], ids=["trial", "panic"])
def test_model_on_standby_is_no_second_attempt(*, due: bool) -> None:
    rig = two(RetryPolicy(budget=RetryBudget(share=0.0, per_s=0.1)))
    rig.fail_out("b/y")
    call, _ = begun(rig)
    # Not before: who is due goes first in a fresh call.
    rig.clock.advance(12.0 if due else 0.0)
    assert call.hedge() is None
    assert in_flight(rig) == {"a/x": 1, "b/y": 0}
    assert rig.standby() == ["b/y"]
    call.succeeded()
    # What was not used of the budget is still there.
    rig.router.recover("b/y")
    assert begun(rig)[0].hedge() is not None


def test_trial_may_have_a_second_attempt_beside_it() -> None:
    rig = two()
    rig.fail_out("a/x")
    rig.clock.advance(12.0)
    call, first, second = hedged(rig)
    assert (first.model.id, first.lease.probe, second.model.id) == ("a/x", True, "b/y")
    call.succeeded(step=second)
    assert rig.standby() == ["a/x"]
    assert begun(rig)[1].lease.probe


def test_related_model_is_no_second_attempt() -> None:
    policy = hedging(degrade=(Degrade.SIBLINGS,))
    rig = Rig("a/x", model("b/y", "code-generation"), policy=policy)
    call, _ = begun(rig)
    assert call.hedge() is None
    assert in_flight(rig) == {"a/x": 1, "b/y": 0}
    assert begun(rig, CODE)[1].model.id == "b/y"


def test_second_attempts_take_from_the_budget_of_repetitions() -> None:
    rig = two(RetryPolicy(budget=RetryBudget(share=0.0, per_s=0.2)))
    granted = 0
    for _ in range(5):
        call, _ = begun(rig)
        granted += call.hedge() is not None
        call.cancelled()
    assert granted == 2
    rig.clock.advance(5.0)
    call, _ = begun(rig)
    assert call.hedge() is not None
    assert in_flight(rig) == {"a/x": 1, "b/y": 1}


def test_second_attempt_counts_as_an_attempt() -> None:
    rig = Rig("a/x", "b/y", "c/z", policy=hedging(RetryPolicy(max_attempts=2)))
    call, first, second = hedged(rig)
    call.failed(DOWN, first)
    call.failed(DOWN, second)
    assert isinstance(call.next(), Stop)
    rig = Rig("a/x", "b/y", "c/z", policy=hedging(RetryPolicy(max_attempts=2)))
    call, first = begun(rig)
    call.failed(DOWN, first)
    call.next()
    assert call.hedge() is None


def test_nothing_starts_beside_an_attempt_once_the_deadline_has_passed() -> None:
    rig = two(RetryPolicy(deadline_s=5.0))
    call, _ = begun(rig)
    rig.clock.advance(5.0)
    assert call.hedge() is None
    call, _ = begun(rig)
    rig.clock.advance(3.0)
    second = call.hedge()
    assert second is not None
    assert (second.timeout_s, second.ends_s) == (2.0, 2.0)


def test_request_with_side_effects_is_never_sent_twice_at_once() -> None:
    asked = CompletionRequest(CHAT, side_effects=True)
    call, _ = begun(two(), asked)
    assert call.hedge_after_s(streamed=False) is None
    assert call.hedge_after_s(streamed=True) is None


def test_second_attempt_meets_what_the_request_needs() -> None:
    fit = model("c/z", features=["vision"])
    rig = Rig(model("a/x", features=["vision"]), model("b/y", features=[]), fit, policy=hedging())
    call, _ = begun(rig, CompletionRequest(CHAT, frozenset({"vision"})))
    second = call.hedge()
    assert second is not None
    assert second.model.id == "c/z"


def test_request_that_was_let_go_counts_for_the_limit_of_its_model() -> None:
    limited = Model("b/y", ("chat-completion",), limits=(Limit(Unit.REQUESTS, 1, window_s=60.0),))
    rig = Rig("a/x", limited, policy=hedging())
    call, first, _ = hedged(rig)
    call.succeeded(step=first)
    call, _ = begun(rig)
    assert call.hedge() is None


def test_pool_that_does_not_hedge_never_says_when() -> None:
    call, _ = begun(Rig("a/x", "b/y"))
    assert call.hedge_after_s(streamed=False) is None


def test_second_attempt_starts_after_a_percentile_of_what_the_pool_has_taken_lately() -> None:
    rig = Rig("a/x", "b/y", policy=hedging(hedge=Hedge(percentile=0.9, min_samples=10)))
    for number in range(1, 11):
        call, step = begun(rig)
        assert call.hedge_after_s(streamed=False) is None
        rig.clock.advance(number / 10)
        call.first_token(step)
        rig.clock.advance(5.0)
        call.succeeded(step=step)
    call, _ = begun(rig)
    assert call.hedge_after_s(streamed=False) is None
    assert call.hedge_after_s(streamed=True) == pytest.approx(0.9)
    for number in range(1, 11):
        call, step = begun(rig)
        rig.clock.advance(number)
        call.succeeded(step=step)
    call, _ = begun(rig)
    assert call.hedge_after_s(streamed=False) == pytest.approx(9.0)
    assert call.hedge_after_s(streamed=True) == pytest.approx(0.9)


def test_time_of_the_attempt_that_was_let_go_is_no_time_of_an_answer() -> None:
    rig = two()
    call, _, second = hedged(rig)
    rig.clock.advance(1.0)
    call.succeeded(step=second)
    times = rig.router.pool(CHAT).tempo.whole
    assert (len(times), times.percentile(0.5)) == (1, 1.0)


def test_percentile_is_the_time_that_a_share_did_not_exceed() -> None:
    times = RecentTimes()
    assert times.percentile(0.5) is None
    for number in range(1, 101):
        times.note(float(number))
    shares = (0.0, 0.01, 0.5, 0.95, 0.99, 1.0)
    assert [times.percentile(share) for share in shares] == [1, 1, 50, 95, 99, 100]


def test_times_are_those_of_the_last_256_answers() -> None:
    tempo = Tempo()
    for _ in range(256):
        tempo.note(None, 9.0)
    for _ in range(256):
        tempo.note(None, 1.0)
    assert (len(tempo.whole), tempo.whole.percentile(1.0)) == (256, 1.0)
    assert len(tempo.first_token) == 0


@pytest.mark.parametrize(
    ("place", "make"),
    [
        ("after_s", lambda: Hedge(after_s=-1.0)),
        ("after_s", lambda: Hedge(after_s=float("nan"))),
        ("percentile", lambda: Hedge(percentile=0.0)),
        ("percentile", lambda: Hedge(percentile=1.0)),
        ("min_samples", lambda: Hedge(min_samples=0)),
    ],
)
def test_hedge_that_makes_no_sense_is_refused(place: str, make: Callable[[], Hedge]) -> None:
    with pytest.raises(ValueError, match=place):
        make()


def test_second_attempt_goes_on_from_the_same_beginning() -> None:
    retry = RetryPolicy(on_interruption=(Interruption.CONTINUE,))
    rig = Rig("a/x", *map(prefilling, ("b/y", "c/z")), "d/w", policy=hedging(retry))
    call, first = begun(rig)
    call.failed(DOWN, first)
    call.interrupted("hel", only_text=True)
    step, second = call.next(), call.hedge()
    assert isinstance(step, Try)
    assert second is not None
    assert [(leg.model.id, leg.prefill) for leg in (step, second)] == [
        ("b/y", "hel"),
        ("c/z", "hel"),
    ]
    call.failed(DOWN, second)
    call.failed(DOWN, step)
    assert isinstance(call.next(), Stop)
