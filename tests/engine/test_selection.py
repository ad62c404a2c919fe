"""The strategies that ship, each driven as its pool drives it."""

from functools import partial
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.engine.member import Rank
from capability_router.engine.membership import PoolPreferences
from capability_router.engine.outcome import FailureKind
from capability_router.engine.request import CompletionRequest
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.selection import (
    Priority,
    RoundRobin,
    SelectionStrategy,
    StickUntilFailure,
    StrategyFactory,
)
from tests.engine.building import Rig, ids, member, model

REQUEST = CompletionRequest("chat-completion")
NAMES = ("a/1", "b/2", "c/3", "d/4")
MODELS = {name: member(name, (0, 0, place)) for place, name in enumerate(NAMES)}


def with_models(make: StrategyFactory, **ranks: Rank) -> SelectionStrategy:
    strategy = make(Random(1))
    for each in MODELS.values():
        rank = ranks.get(each.model.name)
        strategy.admit(member(each.model.id, rank) if rank else each)
    return strategy


def served(strategy: SelectionStrategy, *tried: str) -> str | None:
    chosen = strategy.choose(REQUEST, tried, 0.0)
    if chosen is None:
        return None
    strategy.chosen(chosen, tried, 0.0)
    return chosen.model.id


STRATEGIES: list[StrategyFactory] = [Priority, StickUntilFailure, RoundRobin]


@pytest.mark.parametrize("make", STRATEGIES)
def test_strategy_chooses_only_what_fits(make: StrategyFactory) -> None:
    strategy = with_models(make)
    assert served(strategy, "a/1", "b/2", "d/4") == "c/3"
    assert served(strategy, *MODELS) is None


@pytest.mark.parametrize("make", STRATEGIES)
def test_strategy_forgets_a_withdrawn_model_and_takes_it_back(
    make: StrategyFactory,
) -> None:
    strategy = make(Random(1))
    strategy.admit(MODELS["a/1"])
    assert served(strategy) == "a/1"
    strategy.withdraw(MODELS["a/1"])
    assert served(strategy) is None
    strategy.admit(MODELS["a/1"])
    assert served(strategy) == "a/1"


@pytest.mark.parametrize("make", STRATEGIES)
def test_choosing_alone_changes_nothing(make: StrategyFactory) -> None:
    strategy = with_models(make)
    first = [strategy.choose(REQUEST, (), 0.0) for _ in range(3)]
    assert ids(each.model for each in first if each) == ["a/1"] * 3


def test_priority_serves_the_lowest_rank_every_time() -> None:
    strategy = with_models(Priority, **{"1": (5, 0, 0), "2": (0, 3, 1), "3": (0, 2, 2)})
    strategy.withdraw(MODELS["d/4"])
    assert [served(strategy) for _ in range(2)] == ["c/3", "c/3"]
    assert served(strategy, "c/3") == "b/2"
    assert served(strategy, "c/3", "b/2") == "a/1"


def test_priority_returns_to_a_better_model_that_came_back() -> None:
    strategy = with_models(Priority)
    strategy.withdraw(MODELS["a/1"])
    assert served(strategy) == "b/2"
    strategy.admit(MODELS["a/1"])
    assert served(strategy) == "a/1"


def test_sticking_keeps_the_model_when_a_better_one_comes_back() -> None:
    strategy = with_models(StickUntilFailure)
    assert served(strategy) == "a/1"
    strategy.withdraw(MODELS["a/1"])
    assert served(strategy) == "b/2"
    strategy.admit(MODELS["a/1"])
    assert served(strategy) == "b/2"


def test_sticking_moves_on_when_the_model_failed_in_the_call() -> None:
    strategy = with_models(StickUntilFailure)
    assert served(strategy) == "a/1"
    assert served(strategy, "a/1") == "b/2"
    assert served(strategy) == "b/2"


def test_sticking_stays_when_one_request_only_lacked_a_feature_of_the_model() -> None:
    policy = RotationPolicy(selection=StickUntilFailure)
    rig = Rig(
        model("a/1", features=["streaming"]), model("b/2", features=["vision"]), policy=policy
    )
    assert rig.serve() == "a/1"
    vision = CompletionRequest("chat-completion", frozenset({"vision"}))
    assert rig.router.select(vision).model.id == "b/2"
    assert rig.serve() == "a/1"


def test_round_robin_takes_each_in_turn() -> None:
    strategy = with_models(RoundRobin)
    assert [served(strategy) for _ in range(6)] == ["a/1", "b/2", "c/3", "d/4", "a/1", "b/2"]


def test_round_robin_puts_who_returns_at_the_end() -> None:
    strategy = with_models(RoundRobin)
    strategy.withdraw(MODELS["a/1"])
    strategy.admit(MODELS["a/1"])
    assert [served(strategy) for _ in range(4)] == ["b/2", "c/3", "d/4", "a/1"]


def test_round_robin_lets_a_skipped_model_keep_its_place() -> None:
    strategy = with_models(RoundRobin)
    assert served(strategy, "a/1") == "b/2"
    assert served(strategy) == "a/1"


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(MODELS)), st.tuples(*[st.integers(0, 3)] * 3)),
        max_size=30,
    )
)
def test_priority_agrees_with_sorting_whatever_comes_and_goes(
    changes: list[tuple[str, Rank]],
) -> None:
    strategy, present = Priority(Random(1)), dict[str, Rank]()
    for model_id, rank in changes:
        if model_id in present:
            strategy.withdraw(member(model_id, present.pop(model_id)))
        else:
            strategy.admit(member(model_id, rank))
            present[model_id] = rank
        order = sorted(present, key=lambda each: (present[each], each))
        assert served(strategy) == (order[0] if order else None)


def test_each_pool_has_a_strategy_of_its_own() -> None:
    rig = Rig("a/1", "b/2", policy=RotationPolicy(selection=RoundRobin))
    rig.router.add_pool("one", "chat-completion")
    rig.router.add_pool("two", "chat-completion")
    in_one = CompletionRequest("chat-completion", pool="one")
    in_two = CompletionRequest("chat-completion", pool="two")
    chosen = [rig.router.select(request).model.id for request in (in_one, in_two, in_one, in_two)]
    assert chosen == ["a/1", "a/1", "b/2", "b/2"]


def test_default_strategy_sticks() -> None:
    rig = Rig("a/1", "b/2")
    rig.fail_out("a/1")
    assert rig.serve() == "b/2"
    rig.router.recover("a/1")
    assert [rig.serve() for _ in range(3)] == ["b/2"] * 3


def test_preferences_of_the_pool_order_its_models() -> None:
    rig = Rig("a/1", "b/2", "c/3")
    preferences = PoolPreferences(model_priority=["c/3"], provider_priority=["b"])
    rig.router.add_pool("chat", "chat-completion", preferences=preferences)
    order = [rig.select("chat-completion", *tried).model.id for tried in ((), ("c/3",))]
    assert order == ["c/3", "b/2"]


def test_model_that_fails_once_does_not_leave_but_the_call_moves_on() -> None:
    rig = Rig("a/1", "b/2")
    assert rig.fail(FailureKind.SERVER_ERROR) == "a/1"
    assert rig.select("chat-completion", "a/1").model.id == "b/2"
    assert rig.standby() == []


def test_priority_lets_a_fallback_share_out_among_equals() -> None:
    policy = RotationPolicy(selection=partial(Priority, fallback=RoundRobin))
    rig = Rig(policy=policy)
    rig.router.add_pool("text", "chat-completion", None, PoolPreferences(provider_priority=["b"]))
    for name in ("a/1", "b/1", "b/2", "c/1"):
        rig.router.register(model(name))
    assert [rig.serve() for _ in range(3)] == ["b/1", "b/2", "b/1"]
    rig.router.deactivate("b/1")
    rig.router.deactivate("b/2")
    assert [rig.serve() for _ in range(3)] == ["a/1", "c/1", "a/1"]
    rig.router.recover("b/2")
    assert [rig.serve() for _ in range(2)] == ["b/2", "b/2"]
