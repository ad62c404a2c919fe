"""Pools, filters, models and whole configurations that change while requests run."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from capability_router.calendars import CalendarReset
from capability_router.engine.blueprint import Blueprint, PoolSpec
from capability_router.engine.errors import NoAvailableModelError, UnknownPoolError
from capability_router.engine.events import EventType
from capability_router.engine.faults import FAULT_TABLE
from capability_router.engine.limits import Limit, Unit
from capability_router.engine.membership import PoolPreferences
from capability_router.engine.model import Model, Provider
from capability_router.engine.outcome import FailureKind, Outcome
from capability_router.engine.request import CompletionRequest
from capability_router.engine.rotation import Degrade, RotationPolicy
from capability_router.engine.scored import Scored
from capability_router.engine.selection import Priority, RoundRobin
from capability_router.engine.tree import CapabilityTree
from tests.engine.building import CHAT, CODE, TEXT, Rig, ids, model

PRIORITY = RotationPolicy(selection=Priority)


def test_priority_of_a_pool_may_change_under_traffic() -> None:
    rig = Rig("a/x", "b/y", "c/z")
    rig.router.add_pool("text", TEXT, PRIORITY)
    rig.fail_out("a/x")
    rig.router.update_pool("text", preferences=PoolPreferences(model_priority=["c/z", "a/x"]))
    assert (rig.standby("text"), rig.serve()) == (["a/x"], "c/z")
    rig.router.recover("a/x")
    assert rig.select(CHAT, "c/z").model.id == "a/x"


def test_filter_of_a_pool_may_change_and_each_move_is_told_once() -> None:
    rig = Rig("a/x", "b/y", "c/z")
    rig.router.add_pool("text", TEXT, PRIORITY, PoolPreferences(excluded_providers=["c"]))
    del rig.events[:]
    rig.router.update_pool("text", preferences=PoolPreferences(excluded_providers=["a"]))
    assert [(event.type, event.model, event.reason) for event in rig.events] == [
        (EventType.POOL_MEMBERSHIP_CHANGED, "a/x", "removed"),
        (EventType.POOL_MEMBERSHIP_CHANGED, "c/z", "added"),
    ]
    assert rig.active("text") == ["b/y", "c/z"]


def test_strategy_of_a_pool_may_change() -> None:
    rig = Rig("a/x", "b/y")
    rig.router.add_pool("text", TEXT, PRIORITY)
    assert [rig.serve() for _ in range(3)] == ["a/x"] * 3
    rig.router.update_pool("text", replace(PRIORITY, selection=RoundRobin))
    assert [rig.serve() for _ in range(3)] == ["a/x", "b/y", "a/x"]


def test_pool_that_is_removed_leaves_its_models_to_others() -> None:
    rig = Rig("a/x")
    rig.router.add_pool("chat", CHAT)
    rig.router.add_pool("text", TEXT)
    assert rig.select().pool.name == "chat"
    rig.router.remove_pool("chat")
    assert rig.select().pool.name == "text"
    with pytest.raises(UnknownPoolError, match="unknown declared pool 'chatt'"):
        rig.router.remove_pool("chatt")


def test_function_selects_the_members_of_a_dynamic_pool() -> None:
    rig = Rig(model("a/8k", window=8000), model("b/128k", window=128_000), "c/?")
    preferences = PoolPreferences(select=lambda each: (each.context_window or 0) > 100_000)
    rig.router.add_pool("long", TEXT, PRIORITY, preferences)
    assert rig.active("long") == ["b/128k"]
    rig.router.register(model("d/1m", window=1_000_000))
    assert rig.active("long") == ["b/128k", "d/1m"]


def test_function_is_asked_again_on_refresh() -> None:
    wanted = {"a/x"}
    rig = Rig("a/x", "b/y")
    rig.router.add_pool("vip", TEXT, None, PoolPreferences(select=lambda each: each.id in wanted))
    wanted.add("b/y")
    wanted.discard("a/x")
    assert rig.active("vip") == ["a/x"]
    rig.router.refresh()
    assert rig.active("vip") == ["b/y"]


def degrading(*ways: Degrade) -> RotationPolicy:
    return replace(PRIORITY, degrade=ways)


@pytest.mark.parametrize(
    ("ways", "served", "at"),
    [
        ((Degrade.SIBLINGS,), "b/code", CODE),
        ((Degrade.ANCESTORS,), "b/code", TEXT),
        ((Degrade.SIBLINGS, Degrade.ANCESTORS), "b/code", CODE),
    ],
)
def test_related_nodes_are_asked_where_the_pool_allows_it(
    ways: tuple[Degrade, ...], served: str, at: str
) -> None:
    rig = Rig("a/chat", model("b/code", CODE))
    rig.router.add_pool("chat", CHAT, degrading(*ways))
    rig.router.deactivate("a/chat")
    lease = rig.select()
    assert (lease.model.id, lease.node, lease.degraded) == (served, at, True)


def test_decision_says_what_was_degraded_to() -> None:
    rig = Rig("a/chat", model("b/code", CODE))
    rig.router.add_pool("chat", CHAT, degrading(Degrade.SIBLINGS))
    rig.router.deactivate("a/chat")
    assert rig.router.call("chat-completion", lambda each: each.id) == "b/code"
    (decision,) = rig.router.decisions
    assert (decision.degraded_to, decision.as_dict()["degraded_to"]) == (CODE, CODE)
    assert str(decision).startswith(f"chat-completion -> b/code, as {CODE}")


def test_nothing_is_degraded_unasked_nor_where_one_pool_is_named() -> None:
    rig = Rig("a/chat", model("b/code", CODE))
    rig.router.deactivate("a/chat")
    with pytest.raises(NoAvailableModelError):
        rig.select()
    rig.router.add_pool("chat", CHAT, degrading(Degrade.SIBLINGS))
    with pytest.raises(NoAvailableModelError):
        rig.router.select(CompletionRequest(CHAT, pool="chat"))


def test_requirements_hold_at_related_nodes_too() -> None:
    rig = Rig("a/chat", model("b/code", CODE, features=["streaming"]))
    rig.router.add_pool("chat", CHAT, degrading(Degrade.SIBLINGS))
    rig.router.deactivate("a/chat")
    with pytest.raises(NoAvailableModelError):
        rig.router.select(CompletionRequest(CHAT, frozenset({"vision"})))


DAILY = Limit(Unit.REQUESTS, 10, resets=CalendarReset("day"))


def blueprint(
    *models: Model | str,
    pools: tuple[PoolSpec, ...] = (),
    providers: tuple[Provider, ...] = (),
    tree: CapabilityTree | None = None,
) -> Blueprint:
    return Blueprint(
        tree or CapabilityTree(),
        providers,
        tuple(each if isinstance(each, Model) else model(each) for each in models),
        pools,
        FAULT_TABLE,
    )


def spec(name: str, node: str = TEXT, policy: RotationPolicy = PRIORITY) -> PoolSpec:
    return PoolSpec(name, node, policy, PoolPreferences())


def test_reconfiguring_keeps_the_state_of_what_stays() -> None:
    rig = Rig()
    rig.router.configure(blueprint("a/x", "b/y", "c/z", pools=(spec("text"),)))
    rig.fail_out("a/x")
    assert rig.serve() == "b/y"
    rig.router.deactivate("c/z")
    del rig.events[:]
    rig.router.configure(blueprint("b/y", "a/x", "c/z", "d/new", pools=(spec("text"),)))
    assert rig.told() == [(EventType.POOL_MEMBERSHIP_CHANGED, "d/new")]
    assert rig.standby("text") == ["a/x", "c/z"]
    assert rig.router.state("b/y").successes == 1


def test_what_is_declared_no_more_is_dropped_and_attempts_end_as_they_will() -> None:
    rig = Rig()
    rig.router.configure(blueprint("a/x", "b/y", pools=(spec("text"), spec("chat", CHAT))))
    lease = rig.select()
    rig.router.configure(blueprint("b/y", pools=(spec("text"),)))
    assert (ids(rig.router.models), [p.name for p in rig.router.pools]) == (["b/y"], ["text"])
    rig.router.report(lease, Outcome.success())
    assert rig.serve() == "b/y"


def test_what_was_added_by_hand_stays() -> None:
    rig = Rig("hand/x")
    rig.router.add_pool("own", CHAT)
    rig.router.configure(blueprint("a/x", pools=(spec("text"),)))
    rig.router.configure(blueprint())
    assert (ids(rig.router.models), [p.name for p in rig.router.pools]) == (["hand/x"], ["own"])


def test_trial_in_flight_survives_a_reconfiguration() -> None:
    rig = Rig()
    rig.router.configure(blueprint("a/x", pools=(spec("text"),)))
    rig.fail_out("a/x")
    rig.clock.advance(10.0)
    trial = rig.select()
    larger = replace(model("a/x"), context_window=8000)
    rig.router.configure(blueprint(larger, pools=(spec("text", policy=RotationPolicy()),)))
    rig.router.report(trial, Outcome.success())
    assert rig.active("text") == ["a/x"]
    assert rig.router.model("a/x").context_window == 8000


def test_limit_that_stays_keeps_what_was_taken_and_a_new_one_begins_empty() -> None:
    rig = Rig()
    limited = replace(model("a/x"), limits=(DAILY,))
    rig.router.configure(blueprint(limited, pools=(spec("text"),)))
    rig.serve()
    dearer = replace(limited, limits=(DAILY, Limit(Unit.TOKENS, 5, window_s=60.0)))
    rig.router.configure(blueprint(dearer, pools=(spec("text"),)))
    assert [each.taken for each in rig.router.pool("text").forecast()] == [1, 0]
    account = Provider("a", limits=(DAILY,))
    rig.router.configure(blueprint(dearer, pools=(spec("text"),), providers=(account,)))
    assert [each.taken for each in rig.router.pool("text").forecast()] == [1, 0, 0]


@pytest.mark.parametrize(("amount", "standby"), [(1, True), (2, True), (3, False)])
def test_limit_of_another_amount_goes_on_counting_and_decides_at_once(
    amount: int, standby: bool
) -> None:
    rig = Rig()
    account = Provider("a", limits=(replace(DAILY, amount=2),))
    rig.router.configure(blueprint("a/x", "b/y", pools=(spec("text"),), providers=(account,)))
    assert [rig.serve() for _ in range(3)] == ["a/x", "a/x", "b/y"]
    account = Provider("a", limits=(replace(DAILY, amount=amount),))
    rig.router.configure(blueprint("a/x", "b/y", pools=(spec("text"),), providers=(account,)))
    (forecast,) = rig.router.pool("text").forecast()
    assert (forecast.taken, forecast.limit.amount) == (2, amount)
    assert (rig.standby("text") == ["a/x"]) is standby


def test_limit_of_a_pool_that_is_raised_opens_it_again() -> None:
    rig = Rig()
    tight = replace(PRIORITY, limits=(replace(DAILY, amount=1),))
    rig.router.configure(blueprint("a/x", pools=(spec("text", policy=tight),)))
    rig.serve()
    with pytest.raises(NoAvailableModelError):
        rig.select()
    loose = replace(PRIORITY, limits=(replace(DAILY, amount=2),))
    rig.router.configure(blueprint("a/x", pools=(spec("text", policy=loose),)))
    assert rig.serve() == "a/x"


def test_order_of_the_configuration_holds_after_it_has_changed() -> None:
    rig = Rig()
    for names in (("a/x", "b/y", "c/z"), ("b/y", "a/x"), ("c/z", "b/y", "a/x"), ("a/x", "c/z")):
        rig.router.configure(blueprint(*names, pools=(spec("text"),)))
        assert ids(rig.router.models) == list(names)
        assert rig.serve() == names[0]
        rig.router.deactivate(names[0])
        assert rig.serve() == names[1]
        rig.router.recover(names[0])


def test_pool_that_keeps_a_provider_out_keeps_it_out_of_related_nodes_too() -> None:
    rig = Rig("a/chat", model("b/code", CODE), model("c/code", CODE))
    without_b = PoolPreferences(excluded_providers=["b"])
    rig.router.add_pool("chat", CHAT, degrading(Degrade.SIBLINGS), without_b)
    rig.router.deactivate("a/chat")
    assert rig.select().model.id == "c/code"
    rig.router.deactivate("c/code")
    with pytest.raises(NoAvailableModelError):
        rig.select()


def test_filters_that_leave_nobody_are_told_apart_from_a_strategy_that_does() -> None:
    rig = Rig("a/x", "b/y")
    rig.router.add_pool("text", TEXT, PRIORITY, PoolPreferences(select=lambda _: False))
    with pytest.raises(NoAvailableModelError, match="let the pool's filters admit one"):
        rig.select()
    nobody = RotationPolicy(selection=partial(Scored, score=lambda model, request: None))
    rig.router.update_pool("text", nobody, PoolPreferences())
    with pytest.raises(NoAvailableModelError, match="a/x: left out by the pool's strategy"):
        rig.select()


def test_model_may_move_in_the_tree() -> None:
    rig = Rig()
    rig.router.configure(blueprint("a/x", pools=(spec("chat", CHAT), spec("code", CODE))))
    rig.router.configure(
        blueprint(model("a/x", CODE), pools=(spec("chat", CHAT), spec("code", CODE)))
    )
    assert (rig.active("chat"), rig.active("code")) == ([], ["a/x"])


def test_tree_may_grow_and_shrink() -> None:
    rig = Rig()
    grown = CapabilityTree()
    grown.add_node(TEXT, "haiku")
    rig.router.configure(blueprint(model("a/x", "haiku"), tree=grown))
    assert rig.serve("haiku") == "a/x"
    rig.router.configure(blueprint("a/x"))
    assert rig.serve() == "a/x"
    with pytest.raises(KeyError, match="unknown capability 'haiku'"):
        rig.select("haiku")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: blueprint("hand/x"), "'hand/x' was added by hand"),
        (lambda: blueprint(pools=(spec("own"),)), "'own' was added by hand"),
        (lambda: blueprint(model("b/y", "text-generation")), "is no leaf"),
        (lambda: blueprint(model("b/y", "nowhere")), "unknown capability 'nowhere'"),
        (lambda: blueprint(pools=(spec("new", "nowhere"),)), "unknown capability 'nowhere'"),
        (
            lambda: blueprint(tree=CapabilityTree.from_mapping({"gen": ["chat"]})),
            "is used by hand, and the new tree has no such node",
        ),
    ],
)
def test_configuration_that_cannot_be_carried_out_changes_nothing(
    change: Callable[[], Blueprint], message: str
) -> None:
    rig = Rig("hand/x")
    rig.router.add_pool("own", CHAT)
    rig.router.configure(blueprint("a/x", pools=(spec("text"),)))
    rig.fail(FailureKind.SERVER_ERROR)
    before = (rig.health(), rig.router.models, rig.router.pools, rig.router.tree)
    del rig.events[:]
    with pytest.raises((ValueError, KeyError), match=message):
        rig.router.configure(change())
    after = (rig.health(), rig.router.models, rig.router.pools, rig.router.tree)
    assert (after, rig.events) == (before, [])


def test_current_model_stays_current_when_nothing_about_its_pool_has_changed() -> None:
    rig, policy = Rig(), RotationPolicy()
    rig.router.configure(blueprint("a/x", "b/y", pools=(spec("text", policy=policy),)))
    rig.fail_out("a/x")
    assert rig.serve() == "b/y"
    rig.router.recover("a/x")
    same = RotationPolicy()
    rig.router.configure(blueprint("a/x", "b/y", "c/z", pools=(spec("text", policy=same),)))
    assert rig.serve() == "b/y"
