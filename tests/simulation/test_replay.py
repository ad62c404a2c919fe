"""Recorded decisions under another policy: the same one changes nothing, and others tell why."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from json import dumps
from math import inf
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capability_router.engine.deactivation import ErrorThreshold
from capability_router.engine.decision import Decision
from capability_router.engine.errors import UnknownCapabilityError
from capability_router.engine.hedge import Hedge
from capability_router.engine.limits import Limit, Unit
from capability_router.engine.model import Price
from capability_router.engine.outcome import Attempt, FailureKind, Usage
from capability_router.engine.request import CompletionRequest
from capability_router.engine.retry import Interruption, RetryPolicy
from capability_router.observability.jsonl import JsonLines
from capability_router.registry import STRATEGIES, names, strategy
from capability_router.router import CapabilityRouter
from capability_router.simulation import (
    OrderedFallback,
    Outage,
    Outages,
    Percentiles,
    Poisson,
    Replay,
    SimulatedProvider,
    Workload,
    replay,
    simulate,
)
from capability_router.simulation.recorded import decisions_of
from capability_router.simulation.scene import Policy
from capability_router.testing.clock import ManualClock
from tests.simulation.worlds import CHAT, model, pool, steady

MODELS = ("a/x", "b/y", "c/z")
ROUGH = {
    "a": SimulatedProvider(
        failure_rate=0.2, cut_rate=0.2, outages=(Outages(0.8, Percentiles(20.0, 60.0)),)
    ),
    "b": SimulatedProvider(failure=FailureKind.RATE_LIMITED, failure_rate=0.1),
    "c": SimulatedProvider(outages=(Outage(20.0, 60.0, FailureKind.TIMEOUT),)),
}


def log_of(
    policy: Policy, *, streamed: bool = False, seed: int = 0, count: int = 120
) -> list[Decision]:
    seen: list[Decision] = []
    workload = Workload(CHAT, count, Poisson(1.0), streamed=streamed)
    simulate(policy, workload, ROUGH, seed, record=seen.append)
    return seen


def written(decisions: Sequence[Decision], path: Path) -> Path:
    with JsonLines(path, max_bytes=None, clock=ManualClock()) as log:
        for decision in decisions:
            log.record(decision)
    return path


def changes(found: Replay) -> dict[str, int]:
    return {name: count for name, count in found.changes.items() if count}


LIMITS = RetryPolicy(deadline_s=25.0, first_token_timeout_s=4.0, attempt_timeout_s=12.0)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", [each for each in names(STRATEGIES) if each != "scored"])
def test_same_policy_changes_nothing(name: str, streamed: bool, tmp_path: Path) -> None:
    policy = pool(*MODELS, selection=strategy(name), retry=LIMITS)
    log = log_of(policy, streamed=streamed, seed=4)
    assert any(attempt.kind for decision in log for attempt in decision.attempts)
    for told in (log, written(log, tmp_path / "log.jsonl")):
        found = replay(told, policy, seed=4)
        assert changes(found) == {}
        assert found.rests_on == {"recorded": 120, "nearest": 0, "assumed": 0}
        assert found.result.success == pytest.approx(found.recorded.success)
        assert found.result.latency_p95_s == pytest.approx(found.recorded.latency_p95_s, abs=1e-5)
        assert found.result.attempts_per_request == found.recorded.attempts_per_request


@settings(max_examples=40)
@given(st.integers(0, 1_000), st.booleans())
def test_same_policy_with_hedges_changes_nothing(seed: int, streamed: bool) -> None:
    policy = pool(*MODELS, selection=strategy("load-balanced"), hedge=Hedge(2.0), retry=LIMITS)
    log = log_of(policy, streamed=streamed, seed=seed, count=40)
    found = replay(log, policy, seed=seed)
    assert changes(found) == {}
    assert found.result.wasted_calls == found.recorded.wasted_calls


def test_second_attempts_that_were_left_are_taken_from_the_nearest() -> None:
    policy = pool(*MODELS, hedge=Hedge(1.0), retry=LIMITS)
    log = log_of(policy)
    left = sum(FailureKind.CANCELLED in {each.kind for each in told.attempts} for told in log)
    found = replay(log, policy)
    assert found.rests_on["nearest"] == left > 10


@pytest.mark.parametrize("way", [(), (Interruption.RESTART,), (Interruption.CONTINUE,)])
def test_broken_streams_break_again(way: tuple[Interruption, ...]) -> None:
    policy = pool(*MODELS, retry=replace(LIMITS, on_interruption=way))
    log = log_of(policy, streamed=True)
    assert any(each.first_token_s and each.kind for told in log for each in told.attempts)
    assert changes(replay(log, policy)) == {}


def test_prompt_that_was_too_long_is_found_to_be_so_again() -> None:
    models = [replace(model(each), context_window=10_000) for each in MODELS[:2]]
    policy = pool(*models, replace(model("c/z"), context_window=100_000))
    too_long = Outage(0.0, kind=FailureKind.CONTEXT_OVERFLOW, share=0.3)
    log: list[Decision] = []
    simulate(policy, Workload(CHAT, 50), {"a": steady(outages=(too_long,))}, record=log.append)
    assert any(len(each.attempts) > 1 for each in log)
    assert changes(replay(log, policy)) == {}


def test_rule_of_another_library_replays_its_own_log_as_well() -> None:
    policy = OrderedFallback(pool(*MODELS), timeout_s=20.0)
    assert changes(replay(log_of(policy), policy)) == {}


def attempt(model_id: str, kind: str | None = None, latency_s: float = 1.0, **more: Any) -> Attempt:
    told = FailureKind(kind) if kind else None
    provider = model_id.partition("/")[0]
    return Attempt(model_id, provider, told, None, latency_s, **more)


def decision(at: float, *attempts: Attempt, request: CompletionRequest | None = None) -> Decision:
    """Return a recorded request, whose attempts follow one another."""
    ends, made = at, list[Attempt]()
    for each in attempts:
        made.append(replace(each, started_at=ends))
        ends += each.latency_s
    served = attempts[-1].model if attempts and attempts[-1].kind is None else None
    request = request or CompletionRequest(CHAT)
    return Decision(
        CHAT, ends, served, CHAT, tuple(made), request=request, started_at=at, wall=1e9 + ends
    )


class TestChanges:
    """What another policy does otherwise."""

    def test_request_is_rescued_by_a_model_that_was_not_asked(self) -> None:
        log = [
            decision(0.0, attempt("a/x", "server_error", 0.5)),
            decision(10.0, attempt("b/y")),
        ]
        found = replay(log, pool())
        assert changes(found) == {"rescued": 1}
        (difference,) = found.differences
        assert (difference.number, difference.at_s) == (0, 0.0)
        assert difference.before == ("a/x server_error",)
        assert difference.after == ("a/x server_error", "b/y")
        assert (difference.served_before, difference.served_after) == (None, "b/y")
        assert difference.latency_before_s == pytest.approx(0.5)
        assert difference.latency_after_s == pytest.approx(1.5)
        assert difference.basis == "nearest"

    def test_request_is_lost_where_the_policy_gives_up(self) -> None:
        log = [decision(0.0, attempt("a/x", "overloaded"), attempt("b/y"))]
        found = replay(log, pool(retry=RetryPolicy(max_attempts=1)))
        assert changes(found) == {"lost": 1}
        assert found.differences[0].basis == "recorded"
        assert found.result.errors == {"AllModelsFailedError after overloaded": 1}

    def test_same_model_serves_after_other_attempts(self) -> None:
        log = [
            decision(0.0, attempt("a/x", "overloaded", 0.5), attempt("b/y")),
            decision(1.6, attempt("a/x", "overloaded", 0.5), attempt("b/y")),
        ]
        found = replay(log, pool(deactivation=ErrorThreshold(consecutive=1)))
        assert changes(found) == {"other_attempts": 1}
        assert found.differences[0].after == ("b/y",)

    def test_model_that_the_log_does_not_know_is_assumed(self) -> None:
        log = [decision(0.0, attempt("old/model"))]
        found = replay(log, pool(), {"a": steady(2.0, inf)})
        assert changes(found) == {"other_model": 1}
        assert found.differences[0].latency_after_s == pytest.approx(2.0)
        assert found.rests_on == {"recorded": 0, "nearest": 0, "assumed": 1}

    def test_limits_of_an_assumed_provider_bind_the_policy_and_not_what_was_possible(self) -> None:
        log = [decision(float(at), attempt("old/model")) for at in range(10)]
        told = {"a": steady(0.1, inf, limits=(Limit(Unit.REQUESTS, 1, 3_600.0),))}
        found = replay(log, pool("a/x"), told)
        assert found.result.success == 0.1
        assert found.result.regret_success == pytest.approx(0.9)

    def test_nearest_in_time_is_before_or_after(self) -> None:
        log = [
            decision(0.0, attempt("b/y", latency_s=1.0)),
            decision(100.0, attempt("a/x", latency_s=1.0)),
            decision(150.0, attempt("b/y", latency_s=5.0)),
        ]
        found = replay(log, pool("b/y"))
        assert [each.latency_after_s for each in found.differences] == [pytest.approx(5.0)]

    def test_fault_of_the_caller_is_the_same_at_every_model(self) -> None:
        log = [decision(0.0, attempt("b/y")), decision(5.0, attempt("a/x", "invalid_request"))]
        found = replay(log, pool("b/y"))
        assert [each.after for each in found.differences] == [("b/y invalid_request",)]

    def test_attempt_that_ran_out_of_time_hangs_for_as_long_as_the_policy_lets_it(self) -> None:
        log = [decision(0.0, attempt("a/x", "timeout", 60.0), attempt("b/y"))]
        found = replay(log, pool(retry=RetryPolicy(attempt_timeout_s=5.0)))
        assert changes(found) == {}
        assert found.result.latency_p50_s == pytest.approx(6.0)

    def test_request_that_nobody_took_was_recorded_so(self) -> None:
        nobody = decision(0.0)
        found = replay([nobody, decision(1.0, attempt("a/x"))], pool())
        assert changes(found) == {"rescued": 1}
        assert found.differences[0].before == ()
        assert "nobody was asked" in str(found)

    def test_caller_who_has_left_makes_no_difference(self) -> None:
        log = [decision(0.0, attempt("a/x")), decision(5.0, attempt("a/x", "cancelled", 0.1))]
        assert changes(replay(log, pool())) == {}


def test_figures_of_a_log_are_those_of_its_decisions() -> None:
    log = [
        decision(0.0, attempt("a/x", latency_s=2.0, usage=Usage(10, 20), cost_usd=0.5)),
        decision(5.0, attempt("a/x", "overloaded", 1.0), attempt("b/y", latency_s=3.0)),
        decision(9.0, attempt("a/x", "overloaded", 1.0)),
        decision(11.0, attempt("a/x", latency_s=1.0)),
    ]
    found = replay(log, pool()).recorded
    assert (found.requests, found.success, found.cost_usd) == (4, 0.75, 0.5)
    assert [found.latency_p50_s, found.latency_p99_s] == pytest.approx([2.0, 4.0])
    assert (found.attempts_per_request, found.wasted_calls) == (1.25, 2)


def test_cost_is_that_of_the_recorded_tokens() -> None:
    log = [decision(0.0, attempt("a/x", usage=Usage(100, 200)))]
    found = replay(log, pool(model("a/x", Price(1_000.0, 1_000.0))))
    assert found.result.cost_usd == pytest.approx(0.3)


def test_order_of_a_log_is_that_in_which_requests_came() -> None:
    slow, quick = decision(0.0, attempt("a/x", latency_s=9.0)), decision(1.0, attempt("a/x"))
    found = replay([quick, slow], pool())
    assert changes(found) == {}
    assert found.result.latency_p99_s == pytest.approx(9.0)


def test_decisions_of_a_router_in_use_can_be_replayed() -> None:
    router = CapabilityRouter(clock=(clock := ManualClock()))
    router.register(model("a/x"))
    for _ in range(3):
        clock.advance(5.0)
        router.call(CompletionRequest(CHAT), lambda _: clock.advance(0.5))
    found = replay(router, router)
    assert (found.recorded.requests, changes(found)) == (3, {})
    assert found.result.latency_p50_s == pytest.approx(0.5)


def test_all_of_it_is_json_and_can_be_read() -> None:
    log = log_of(pool(*MODELS))
    found = replay(log, pool(*MODELS, selection=strategy("round-robin")))
    told = found.as_dict()
    assert dumps(told, allow_nan=False)
    assert isinstance(told["differences"], list)
    assert len(told["differences"]) == len(found.differences) > 20
    shown = str(found)
    assert shown.startswith("120 requests again; different: ")
    assert f"and {len(found.differences) - 20} more" in shown
    assert found._repr_mimebundle_()["text/html"]
    assert "different: none" in str(replay(log, pool(*MODELS)))


class TestFiles:
    """Logs on disk, as a process that was killed may have left them."""

    LOG = (decision(0.0, attempt("a/x")), decision(1.0, attempt("a/x")))

    def file(self, tmp_path: Path, change: Callable[[str], str]) -> Path:
        path = written(self.LOG, tmp_path / "log.jsonl")
        path.write_text(change(path.read_text("utf-8")), "utf-8")
        return path

    def test_last_line_that_was_cut_is_passed_over(self, tmp_path: Path) -> None:
        path = self.file(tmp_path, lambda text: text[:-20])
        assert replay(path, pool()).recorded.requests == 1

    def test_wrong_line_is_named(self, tmp_path: Path) -> None:
        path = self.file(tmp_path, lambda text: "what is this\n" + text)
        with pytest.raises(ValueError, match=r"log\.jsonl:1: this is no record .* remove the line"):
            replay(str(path), pool())

    def test_other_records_are_passed_over(self, tmp_path: Path) -> None:
        path = self.file(tmp_path, lambda text: '{"record": "event"}\n\n' + text)
        assert replay(path, pool()).recorded.requests == 2

    def test_empty_log_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"log\.jsonl' holds no decision"):
            replay(self.file(tmp_path, lambda _: ""), pool())
        with pytest.raises(ValueError, match="holds no decision"):
            replay([], pool())

    def test_missing_file_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            replay(tmp_path / "none.jsonl", pool())


def test_capability_that_the_policy_lacks_is_refused() -> None:
    log = [replace(decision(0.0, attempt("a/x")), request=CompletionRequest("no-such-node"))]
    with pytest.raises(UnknownCapabilityError):
        replay(log, pool())


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    replay(log_of(pool(*MODELS)), pool(*MODELS), progress=lambda *each: told.append(each))
    assert told[-1] == (120, 120)


def test_log_of_other_models_is_refused_unless_they_are_described() -> None:
    log = [decision(0.0, attempt("old/model"))]
    with pytest.raises(ValueError, match="the log knows only old/model"):
        replay(log, pool("a/x"))


def test_files_that_were_begun_before_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for number, name in enumerate(("log.jsonl.2", "log.jsonl.1", "log.jsonl")):
        told = decision(float(number), attempt("a/x")).as_dict()
        line = dumps({**told, "record": "decision"})
        (tmp_path / name).write_text(f"{line}\n", "utf-8")
    assert [each.started_at for each in decisions_of(path)] == [0.0, 1.0, 2.0]
