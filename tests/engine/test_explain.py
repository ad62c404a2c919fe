"""What ``explain`` foretells is what ``select`` then does, and asking changes nothing."""

import json
from dataclasses import replace
from functools import partial
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capability_router.engine.choice import Standing, Why
from capability_router.engine.decision import Decision
from capability_router.engine.events import RoutingEvent
from capability_router.engine.limits import Limit, Unit
from capability_router.engine.model import Model, Price
from capability_router.engine.outcome import FailureKind, Outcome, Usage
from capability_router.engine.request import CompletionRequest
from capability_router.engine.rotation import Degrade, RotationPolicy
from capability_router.engine.scored import Scored
from capability_router.engine.selection import StrategyFactory
from capability_router.registry import STRATEGIES, names, resolve
from capability_router.router import CapabilityRouter
from capability_router.testing.clock import ManualClock
from tests.engine.building import CHAT, CODE, TEXT

KINDS = (None, FailureKind.OVERLOADED, FailureKind.RATE_LIMITED, FailureKind.TIMEOUT)
ASKED = (
    CompletionRequest(CHAT),
    CompletionRequest(CHAT, requires=frozenset({"vision"})),
    CompletionRequest(CHAT, input_tokens=50, output_tokens=50),
    CompletionRequest(CHAT, prefers=("c", "a")),
    CompletionRequest(CHAT, session="one"),
    CompletionRequest(TEXT),
)


def make(name: str) -> CapabilityRouter:
    """Return a router of five models that differ in all that a strategy may look at."""
    selection = cast("StrategyFactory", resolve(STRATEGIES, name))
    if name == "scored":
        selection = partial(Scored, score=lambda model, _: -ord(model.id[0]))
    router = CapabilityRouter(
        policy=RotationPolicy(selection=selection, degrade=(Degrade.SIBLINGS,)),
        clock=ManualClock(),
        seed=7,
    )
    for number, provider in enumerate("abcde"):
        router.register(
            Model(
                f"{provider}/m",
                ("chat-completion",) if number < 4 else ("code-generation",),
                price=Price(number % 3 + 1, 2),
                features=frozenset({"vision", "streaming"} if number % 2 else {"streaming"}),
                context_window=80 if number == 0 else None,
                limits=(Limit(Unit.REQUESTS, 4, 60.0),) if number == 2 else (),
            )
        )
    return router


@pytest.mark.parametrize("name", sorted(names(STRATEGIES)))
@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(ASKED), st.sampled_from(KINDS), st.floats(0, 20)), max_size=15
    )
)
def test_explain_foretells_the_selection_and_changes_nothing(
    name: str, steps: list[tuple[CompletionRequest, FailureKind | None, float]]
) -> None:
    asked, silent = make(name), make(name)
    for request, kind, seconds in steps:
        foretold = asked.explain(request)
        again = asked.explain(request)
        assert again.as_dict() == foretold.as_dict()
        chosen: list[str | None] = []
        for router in (asked, silent):
            outcome = Outcome(usage=Usage(3, 4)) if kind is None else Outcome.failed(kind)
            try:
                lease = router.select(request)
            except Exception as error:  # noqa: BLE001 - compared below
                chosen.append(type(error).__name__)
            else:
                chosen.append(lease.model.id)
                assert isinstance(router.clock, ManualClock)
                router.clock.advance(seconds)
                router.report(lease, outcome)
        assert chosen[0] == chosen[1]
        assert chosen[0] == (foretold.served_by or "NoAvailableModelError")


def test_candidates_tell_who_could_not_serve_and_why() -> None:
    router = make("latency-first")
    router.deactivate("b/m", "manual")
    told = router.explain(CompletionRequest(CHAT, input_tokens=100))
    (choice,) = told.choices
    assert (choice.why, choice.pool, choice.strategy) == (Why.STRATEGY, CHAT, "latency-first")
    found = {each.model: (each.state, each.obstacle) for each in choice.candidates}
    assert found["a/m"] == (Standing.ACTIVE, "context window 80 < 100 tokens")
    assert found["b/m"] == (Standing.STANDBY, "manual, until recovered by hand")
    assert found["c/m"] == (Standing.ACTIVE, None)
    assert told.served_by in {"c/m", "d/m"}
    assert "e/m" not in found


def test_requirements_may_be_named_beside_the_capability() -> None:
    assert make("priority").explain("chat-completion", requires={"vision"}).served_by == "b/m"


def test_pool_without_a_model_is_told_before_the_related_node_that_stands_in() -> None:
    router = make("priority")
    router.deactivate("e/m")
    told = router.explain("code-generation")
    assert [choice.why for choice in told.choices] == [Why.NOBODY, Why.DEGRADED]
    assert (told.served_by, told.degraded_to) == ("a/m", CHAT)
    assert told.node == CODE


def test_nobody_is_an_answer_and_not_an_error() -> None:
    told = CapabilityRouter(clock=ManualClock()).explain("chat-completion")
    assert (told.served_by, told.pool, told.attempts) == (None, None, ())


def test_explain_emits_no_event() -> None:
    router = make("priority")
    router.explain("chat-completion")  # the pool of a node is made, and filled, on first use
    heard: list[RoutingEvent] = []
    router.emitter.subscribe(heard.append)
    router.explain("chat-completion")
    assert heard == []


def played() -> Decision:
    """Return the decision of a call that failed over once."""
    router = make("weighted")
    call = router.plan(CompletionRequest("chat-completion", input_tokens=5, session="s"))
    call.next()
    call.failed(Outcome.failed(FailureKind.OVERLOADED, status=503).failure or pytest.fail("none"))
    call.next()
    call.succeeded(Usage(5, 6))
    return router.decisions[-1]


def test_decision_survives_json() -> None:
    decision = played()
    told = json.loads(json.dumps(decision.as_dict(), allow_nan=False))
    back = Decision.from_dict(told)
    assert back.as_dict() == decision.as_dict()
    assert back == replace(decision, attempts=back.attempts)
    assert [choice.why for choice in back.choices] == [Why.STRATEGY, Why.STRATEGY]


def test_decision_tells_draws_tokens_cost_and_the_policy() -> None:
    decision = played()
    first, second = decision.choices
    assert first.draws
    assert all(0 <= draw < 1 for draw in first.draws)
    assert second.candidates[int("abcd".index(first.model[0] if first.model else "a"))].obstacle
    assert decision.attempts[-1].usage == Usage(5, 6)
    assert decision.attempts[-1].cost_usd == pytest.approx(
        Price((decision.attempts[-1].model[0] in "ad" and 1) or 2, 2).cost_usd(5, 6), rel=1
    )
    assert decision.policy == first.policy
    assert len(first.policy) == 12


def test_equal_rules_share_a_short_name_in_every_process_and_others_do_not() -> None:
    one, same, other = make("weighted"), make("weighted"), make("priority")
    policies = [router.explain("chat-completion").policy for router in (one, same, other)]
    assert policies[0] == policies[1] != policies[2]


def test_of_a_large_pool_the_chosen_model_is_told_and_the_number_of_those_left_out() -> None:
    router = CapabilityRouter(clock=ManualClock(), seed=1)
    for number in range(100):
        router.register(Model(f"p{number}/m", ("chat-completion",)))
    for number in range(60):
        router.deactivate(f"p{number}/m")
    (choice,) = router.explain("chat-completion").choices
    assert choice.model == "p60/m"
    assert (len(choice.candidates), choice.omitted) == (32, 68)
    assert choice.candidates[-1].model == "p60/m"
