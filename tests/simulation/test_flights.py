"""A request under way in a simulation fares as one that the drivers drive."""

from dataclasses import replace
from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capability_router.engine.hedge import Hedge
from capability_router.engine.model import Price
from capability_router.engine.outcome import FailureKind
from capability_router.engine.request import CompletionRequest
from capability_router.engine.retry import Backoff, Interruption, RepeatScope, RetryPolicy
from capability_router.engine.throttling import Throttling
from capability_router.simulation import (
    OrderedFallback,
    Outage,
    SimulatedProvider,
    SimulationResult,
    simulate,
)
from tests.simulation.worlds import CHAT, model, path, pool, requests, run, steady

DOWN = (Outage(0.0),)
HANGS = (Outage(0.0, kind=FailureKind.TIMEOUT),)
FIRST_S = Outage(0.0, 1.0)
DEAR = Price(1_000.0, 10_000.0)
"""A dollar for 1,000 tokens of a prompt, and for 100 of an answer."""


def retry(**said: Any) -> RetryPolicy:
    return replace(RetryPolicy(), **said)


def test_whole_answer_comes_when_its_last_token_does() -> None:
    result, (decision,) = run(pool(), requests(0.0), {"a": steady(1.0, 50.0)})
    assert path(decision) == [("a/x", None)]
    assert decision.at == result.latency_p50_s == result.first_token_p50_s == 3.0


def test_whole_answer_that_takes_too_long_is_given_up_for_the_next_model() -> None:
    router = pool(retry=retry(attempt_timeout_s=5.0))
    _, (decision,) = run(router, requests(0.0), {"a": steady(4.0, 50.0), "b": steady()})
    assert path(decision) == [("a/x", "timeout"), ("b/y", None)]
    assert [each.latency_s for each in decision.attempts] == [5.0, 2.0]


def test_answer_that_comes_with_the_limit_is_in_time() -> None:
    router = pool(retry=retry(attempt_timeout_s=2.0))
    _, (decision,) = run(router, requests(0.0), {"a": steady(1.0, 100.0)})
    assert path(decision) == [("a/x", None)]


def test_first_token_limit_holds_for_streams_alone() -> None:
    limits = retry(first_token_timeout_s=2.0, attempt_timeout_s=60.0)
    slow = {"a": steady(3.0, 10.0), "b": steady(1.5, 10.0)}
    _, (whole,) = run(pool(retry=limits), requests(0.0), slow)
    assert path(whole) == [("a/x", None)]
    result, (stream,) = run(pool(retry=limits), requests(0.0, streamed=True), slow)
    assert path(stream) == [("a/x", "timeout"), ("b/y", None)]
    assert [each.latency_s for each in stream.attempts] == [2.0, 11.5]
    assert result.first_token_p50_s == 3.5
    assert stream.attempts[1].first_token_s == 1.5


def test_stream_that_has_begun_may_take_longer_than_an_attempt_limit() -> None:
    router = pool(retry=retry(attempt_timeout_s=2.0))
    _, (decision,) = run(router, requests(0.0, streamed=True), {"a": steady(1.0, 10.0)})
    assert path(decision) == [("a/x", None)]
    assert decision.at == 11.0


def test_deadline_breaks_a_stream_that_flows() -> None:
    router = pool(retry=retry(deadline_s=6.0, attempt_timeout_s=5.0))
    result, (decision,) = run(router, requests(0.0, streamed=True), {"a": steady(1.0, 10.0)})
    assert path(decision) == [("a/x", "timeout")]
    assert decision.at == 6.0
    assert result.errors == {"StreamInterruptedError after timeout": 1}
    assert result.first_token_p50_s == 1.0


def test_no_attempt_starts_or_goes_on_after_the_deadline() -> None:
    router = pool("a/x", "b/y", "c/z", retry=retry(deadline_s=5.0, attempt_timeout_s=3.0))
    hang = {name: SimulatedProvider(outages=HANGS) for name in "abc"}
    result, (decision,) = run(router, requests(0.0), hang)
    assert [each.latency_s for each in decision.attempts] == [3.0, 2.0]
    assert result.errors == {"AllModelsFailedError after timeout": 1}


def test_timeout_of_a_caller_is_not_held_against_the_model() -> None:
    moments = [10.0 * number for number in range(6)]
    alike = CompletionRequest(CHAT, model="a/x")
    slow = {"a": steady(5.0)}
    hurried = requests(*moments, capability=replace(alike, timeout_s=1.5))
    result, decisions = run(pool(), hurried, slow)
    assert [path(each) for each in decisions] == [[("a/x", "timeout")]] * 6
    assert {each.attempts[0].latency_s for each in decisions} == {1.5}
    assert result.models["a/x"].standby_s == 0.0
    own = pool(retry=retry(attempt_timeout_s=1.5))
    result, _ = run(own, requests(*moments, capability=alike), slow)
    assert result.models["a/x"].standby_s > 0.0


def test_stream_that_is_slower_than_the_stall_limit_is_broken_off() -> None:
    router = pool(retry=retry(stall_timeout_s=4.0))
    _, (decision,) = run(
        router, requests(0.0, streamed=True), {"a": steady(1.0, 0.2), "b": steady()}
    )
    assert path(decision) == [("a/x", "stalled"), ("b/y", None)]
    assert decision.attempts[0].latency_s == 5.0


def test_provider_that_hangs_without_any_limit_is_refused() -> None:
    router = pool(retry=retry(attempt_timeout_s=inf))
    with pytest.raises(ValueError, match=r"'a/x' never answers .* attempt_timeout_s"):
        run(router, requests(0.0), {"a": SimulatedProvider(outages=HANGS)})


class TestHedges:
    """A second attempt beside a slow one."""

    def test_first_that_comes_wins_and_the_other_is_charged_what_it_wrote(self) -> None:
        router = pool(model("a/x", DEAR), model("b/y", DEAR), hedge=Hedge(after_s=2.0))
        told = {"a": steady(1.0, 10.0), "b": steady(1.0, 50.0)}
        result, (decision,) = run(router, requests(0.0), told)
        # b is asked at 2 s and has answered at 5 s; a has then written 4 s times 10 tokens.
        assert path(decision) == [("a/x", "cancelled"), ("b/y", None)]
        assert decision.at == 5.0
        assert result.models["a/x"].cost_usd == pytest.approx(0.1 + 0.4)
        assert result.models["b/y"].cost_usd == pytest.approx(0.1 + 1.0)
        assert result.cost_usd == pytest.approx(1.6)
        assert (result.wasted_calls, result.attempts_per_request) == (1, 2.0)

    def test_quick_answer_has_none_beside_it(self) -> None:
        router = pool(hedge=Hedge(after_s=2.0))
        _, decisions = run(router, requests(0.0, 9.0), {"a": steady(1.0, 100.0)})
        assert [path(each) for each in decisions] == [[("a/x", None)]] * 2

    def test_first_may_win_while_the_second_runs(self) -> None:
        router = pool(hedge=Hedge(after_s=1.0))
        told = {"a": steady(2.0), "b": steady(9.0)}
        _, (decision,) = run(router, requests(0.0), told)
        assert path(decision) == [("b/y", "cancelled"), ("a/x", None)]

    def test_failing_first_leg_lets_the_other_go_on(self) -> None:
        router = pool(hedge=Hedge(after_s=1.0), retry=retry(attempt_timeout_s=3.0))
        told = {"a": SimulatedProvider(outages=HANGS), "b": steady(2.0, 100.0)}
        _, (decision,) = run(router, requests(0.0), told)
        # a is given up at 3 s, when b has been under way for two seconds, and goes on to 4 s.
        assert path(decision) == [("a/x", "timeout"), ("b/y", None)]
        assert decision.at == 4.0
        assert decision.attempts[1].hedge

    def test_both_legs_may_fail_and_a_third_model_is_asked(self) -> None:
        router = pool("a/x", "b/y", "c/z", hedge=Hedge(after_s=0.1))
        told = {"a": steady(outages=DOWN), "b": steady(outages=DOWN), "c": steady()}
        _, (decision,) = run(router, requests(0.0), told)
        assert path(decision) == [
            ("a/x", "server_error"),
            ("b/y", "server_error"),
            ("c/z", None),
        ]

    def test_fault_of_the_caller_ends_both_legs(self) -> None:
        router = pool(hedge=Hedge(after_s=0.1))
        refuses = (Outage(0.0, kind=FailureKind.INVALID_REQUEST),)
        _, (decision,) = run(router, requests(0.0), {"a": steady(outages=refuses)})
        assert path(decision) == [("b/y", "cancelled"), ("a/x", "invalid_request")]
        assert decision.at == 0.5

    def test_first_token_decides_between_streams(self) -> None:
        router = pool(hedge=Hedge(after_s=1.0))
        told = {"a": steady(4.0), "b": steady(1.0, 10.0)}
        result, (decision,) = run(router, requests(0.0, streamed=True), told)
        assert path(decision) == [("a/x", "cancelled"), ("b/y", None)]
        assert (result.first_token_p50_s, decision.at) == (2.0, 12.0)

    @settings(max_examples=50)
    @given(st.floats(0.0, 1e5), st.floats(0.1, 5.0), st.floats(0.1, 5.0))
    def test_one_of_two_that_end_at_one_moment_is_used(
        self, at: float, after_s: float, then_s: float
    ) -> None:
        router = pool(hedge=Hedge(after_s=after_s))
        told = {"a": steady(after_s + then_s, inf), "b": steady(then_s, inf)}
        result, decisions = run(router, requests(0.0, at), told)
        assert [[kind for _, kind in path(each)].count(None) for each in decisions] == [1, 1]
        assert result.success == 1.0

    def test_request_with_side_effects_is_never_hedged(self) -> None:
        router = pool(hedge=Hedge(after_s=0.0))
        once = CompletionRequest(CHAT, side_effects=True)
        _, (decision,) = run(router, requests(0.0, capability=once), {})
        assert path(decision) == [("a/x", None)]


CUT = {"a": steady(1.0, 100.0, cut_rate=1.0), "b": steady(1.0, 100.0)}


class TestBrokenStreams:
    """A stream that ends after its beginning and before its end."""

    def broken(self, *ways: Interruption) -> tuple[SimulationResult, list[tuple[str, str | None]]]:
        router = pool(model("a/x", DEAR), model("b/y", DEAR), retry=retry(on_interruption=ways))
        result, (decision,) = run(router, requests(0.0, streamed=True), CUT)
        return result, path(decision)

    def test_another_model_goes_on_with_what_is_missing(self) -> None:
        result, seen = self.broken(Interruption.CONTINUE)
        assert seen == [("a/x", "connection"), ("b/y", None)]
        # Both together write 100 tokens; what there is of them is sent to the second one.
        written = round(result.models["a/x"].cost_usd * 100 - 10)
        assert 1 <= written < 100
        expected = (100 + written) / 1_000 + (100 - written) / 100
        assert result.models["b/y"].cost_usd == pytest.approx(expected)

    def test_another_model_begins_anew(self) -> None:
        result, seen = self.broken(Interruption.RESTART)
        assert seen == [("a/x", "connection"), ("b/y", None)]
        assert result.models["b/y"].cost_usd == pytest.approx(0.1 + 1.0)

    def test_caller_is_told_and_has_the_part(self) -> None:
        result, seen = self.broken()
        assert seen == [("a/x", "connection")]
        assert result.errors == {"StreamInterruptedError after connection": 1}
        assert result.first_token_p50_s == 1.0
        assert result.success == 0.0

    def test_whole_answers_are_not_cut(self) -> None:
        _, (decision,) = run(pool(), requests(0.0), CUT)
        assert path(decision) == [("a/x", None)]

    def test_what_was_written_at_once_is_charged_in_full(self) -> None:
        told = {"a": steady(1.0, inf, cut_rate=1.0)}
        router = pool(model("a/x", DEAR), retry=retry(on_interruption=()))
        at_once, _ = run(router, requests(0.0, streamed=True), told)
        told = {"a": steady(1.0, 100.0, cut_rate=1.0)}
        flowing, _ = run(router, requests(0.0, streamed=True), told)
        assert at_once.cost_usd == pytest.approx(flowing.cost_usd)
        assert at_once.cost_usd > 0.1 + 0.01

    def test_answer_of_one_token_has_nothing_left_and_ends_all_the_same(self) -> None:
        workload = replace(requests(0.0, streamed=True), output_tokens=1)
        _, (decision,) = run(pool(), workload, CUT)
        assert path(decision) == [("a/x", "connection"), ("b/y", None)]


def test_answer_that_ran_out_of_time_is_charged_what_was_written() -> None:
    router = pool(model("a/x", DEAR), "b/y", retry=retry(attempt_timeout_s=5.0))
    result, _ = run(router, requests(0.0), {"a": steady(1.0, 10.0), "b": steady()})
    assert result.models["a/x"].cost_usd == pytest.approx(0.1 + 0.4)


def test_error_costs_nothing() -> None:
    router = pool(model("a/x", DEAR), "b/y")
    result, _ = run(router, requests(0.0), {"a": steady(outages=DOWN)})
    assert (result.models["a/x"].attempts, result.cost_usd) == (1, 0.0)


class TestPauses:
    """Waiting, in the middle of a request."""

    def test_model_that_is_alone_is_repeated_after_a_pause(self) -> None:
        router = pool("a/x", retry=retry(backoff=Backoff.FIXED, base_s=2.0))
        _, (decision,) = run(router, requests(0.0), {"a": steady(outages=(FIRST_S,))})
        assert path(decision) == [("a/x", "server_error"), ("a/x", None)]
        assert [each.started_at for each in decision.attempts] == [0.0, 2.5]
        assert decision.attempts[1].wait_s == 2.0

    def test_retry_after_is_waited_for(self) -> None:
        limited = Outage(0.0, 1.0, FailureKind.RATE_LIMITED, retry_after_s=4.0)
        router = pool("a/x", retry=retry(max_wait_s=5.0, scope=RepeatScope.FIRST))
        _, (decision,) = run(router, requests(0.0), {"a": steady(outages=(limited,))})
        assert path(decision) == [("a/x", "rate_limited"), ("a/x", None)]
        assert decision.attempts[1].started_at >= 4.5

    def test_retry_after_that_is_too_long_is_not_waited_for(self) -> None:
        limited = Outage(0.0, 1.0, FailureKind.RATE_LIMITED, retry_after_s=9.0)
        router = pool("a/x", retry=retry(max_wait_s=5.0))
        result, (decision,) = run(router, requests(0.0), {"a": steady(outages=(limited,))})
        assert path(decision) == [("a/x", "rate_limited")]
        assert result.errors == {"AllModelsFailedError after rate_limited": 1}


def test_rule_waits_and_repeats_as_well() -> None:
    told = {"a": steady(outages=(Outage(0.0, 2.0, retry_after_s=3.0),))}
    result = simulate(OrderedFallback(pool("a/x")), requests(0.0), told)
    assert (result.attempts_per_request, result.latency_p50_s) == (2.0, 0.5 + 3.0 + 2.0)


def test_rule_is_at_an_end_when_a_stream_breaks() -> None:
    told = {"a": steady(cut_rate=1.0)}
    result = simulate(OrderedFallback(pool()), requests(0.0, streamed=True), told)
    assert result.errors == {"AllModelsFailedError after connection": 1}


def test_pool_passes_over_a_model_that_turns_requests_away() -> None:
    router = pool(throttling=Throttling())
    told = {"a": steady(outages=(Outage(0.0, kind=FailureKind.OVERLOADED, share=0.9),))}
    result, _ = run(router, requests(*map(float, range(50))), told)
    assert result.models["b/y"].served > 25
