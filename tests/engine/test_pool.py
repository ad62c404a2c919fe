"""The documented pool, built and used by hand."""

from dataclasses import asdict
from random import Random

import pytest

from capability_router.engine.decision import Decision
from capability_router.engine.errors import NoAvailableModelError, UnknownCapabilityError
from capability_router.engine.events import EventEmitter, EventType, RoutingEvent
from capability_router.engine.membership import PoolPreferences
from capability_router.engine.pool import CapabilityPool
from capability_router.engine.reason import Reason
from capability_router.engine.recovery import Cooldown
from capability_router.engine.request import CompletionRequest
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.selection import Priority
from capability_router.engine.state import PoolState
from capability_router.engine.timing import World
from capability_router.engine.tree import CapabilityTree
from capability_router.testing.clock import ManualClock
from tests.engine.building import CHAT, CODE, TEXT, ids, model

REQUEST = CompletionRequest("chat-completion")


class ByHand:
    """A pool with its clock in hand and every event it has emitted."""

    def __init__(
        self, *models: str, node: str = CHAT, preferences: PoolPreferences | None = None
    ) -> None:
        self.clock = ManualClock()
        self.emitter = EventEmitter()
        self.events: list[RoutingEvent] = []
        self.emitter.subscribe(self.events.append)
        self.pool = CapabilityPool(
            "text",
            node,
            RotationPolicy(recovery=Cooldown(jitter=0.0), selection=Priority),
            self.emitter,
            preferences=preferences,
            world=World(self.clock, Random(1)),
        )
        for each in models:
            self.pool.add_model(model(each))

    def told(self) -> list[tuple[EventType, str, str]]:
        return [(event.type, event.model, event.reason) for event in self.events]


def test_documented_constructor_needs_nothing_but_its_four_arguments() -> None:
    pool = CapabilityPool("text", "text-generation", RotationPolicy(), EventEmitter())
    pool.add_model(model("a/x"))
    assert pool.select(REQUEST).id == "a/x"
    assert (pool.name, pool.hierarchy_node) == ("text", TEXT)


def test_documented_constructor_takes_its_arguments_by_name() -> None:
    pool = CapabilityPool(
        name="text",
        hierarchy_node=TEXT,
        rotation_policy=RotationPolicy(),
        event_emitter=EventEmitter(),
    )
    assert repr(pool) == f"CapabilityPool('text', '{TEXT}', active=0, standby=0)"


def test_pool_for_an_unknown_node_is_refused() -> None:
    with pytest.raises(UnknownCapabilityError):
        CapabilityPool("text", "text-generaton", RotationPolicy(), EventEmitter())


def test_state_has_the_documented_fields_and_nothing_else() -> None:
    pool = ByHand("a/x", "b/y").pool
    pool.deactivate(model("a/x"), "manual")
    pool.select(REQUEST)
    assert pool.get_state() == PoolState("text", CHAT, 1, 1, 1, 1)
    assert asdict(pool.get_state()) == {
        "name": "text",
        "hierarchy_node": CHAT,
        "active_count": 1,
        "standby_count": 1,
        "total_requests": 1,
        "rotation_events": 1,
    }


def test_state_is_a_snapshot() -> None:
    pool = ByHand("a/x").pool
    before = pool.get_state()
    pool.select(REQUEST)
    assert (before.total_requests, pool.get_state().total_requests) == (0, 1)


def test_rotation_events_count_deactivations_and_recoveries() -> None:
    pool = ByHand("a/x").pool
    for _ in range(3):
        pool.deactivate(model("a/x"), "manual")
        pool.recover(model("a/x"))
    assert pool.get_state().rotation_events == 6


def test_added_model_is_active_and_a_second_addition_changes_nothing() -> None:
    hand = ByHand("a/x", "b/y")
    hand.pool.add_model(model("a/x"))
    assert ids(hand.pool.get_active_models()) == ["a/x", "b/y"]
    assert [event.type for event in hand.events] == [EventType.POOL_MEMBERSHIP_CHANGED] * 2
    assert len(hand.pool) == 2
    assert model("a/x") in hand.pool
    assert model("c/z") not in hand.pool


def test_second_addition_does_not_lift_a_standby() -> None:
    pool = ByHand("a/x").pool
    pool.deactivate(model("a/x"), "manual")
    pool.add_model(model("a/x"))
    assert ids(pool.get_standby_models()) == ["a/x"]


def test_model_of_another_branch_is_refused_with_the_reason() -> None:
    hand = ByHand(node=TEXT)
    hand.pool.add_model(model("a/x", "code-generation"))
    with pytest.raises(ValueError, match=r"none of its capabilities \['reranking'\]"):
        hand.pool.add_model(model("b/y", "reranking"))
    with pytest.raises(KeyError):
        hand.pool.add_model(model("b/y", "no-such-capability"))
    assert ids(hand.pool.get_active_models()) == ["a/x"]


def test_pool_knows_the_nodes_of_the_tree_it_was_given() -> None:
    tree = CapabilityTree.from_mapping({"custom": ["own"]})
    pool = CapabilityPool("own", "custom", RotationPolicy(), EventEmitter(), tree=tree)
    pool.add_model(model("a/x", "own"))
    assert pool.select(CompletionRequest("own")).id == "a/x"


@pytest.mark.parametrize("standing", ["active", "standby"])
def test_removed_model_leaves_whatever_its_standing(standing: str) -> None:
    hand = ByHand("a/x", "b/y")
    if standing == "standby":
        hand.pool.deactivate(model("a/x"), "quota_exhausted")
    hand.pool.remove_model(model("a/x"))
    assert ids(hand.pool.get_active_models()) == ["b/y"]
    assert hand.pool.get_standby_models() == []
    told = hand.events[-1]
    assert (told.type, told.reason) == (EventType.POOL_MEMBERSHIP_CHANGED, "removed")
    hand.clock.advance(10_000)
    assert hand.pool.select(REQUEST).id == "b/y"


def test_removal_of_a_stranger_is_no_error_and_no_event() -> None:
    hand = ByHand("a/x")
    hand.pool.remove_model(model("c/z"))
    assert [event.type for event in hand.events] == [EventType.POOL_MEMBERSHIP_CHANGED]


def test_strategy_of_the_policy_selects() -> None:
    hand = ByHand(
        "a/x", "b/y", preferences=PoolPreferences(model_priority=["c/none", "b/y", "a/x"])
    )
    assert hand.pool.select(REQUEST).id == "b/y"


def test_pool_without_models_says_what_to_do() -> None:
    with pytest.raises(NoAvailableModelError) as caught:
        ByHand().pool.select(REQUEST)
    assert str(caught.value).startswith(f"no pool of '{CHAT}' has a model: register one at or")
    assert (caught.value.reasons, caught.value.retry_after_s) == ({}, None)


def test_pool_without_active_models_says_why_and_when() -> None:
    hand = ByHand("a/x", "b/y")
    hand.pool.deactivate(model("a/x"), "manual")
    hand.pool.deactivate(model("b/y"), Reason.RATE_LIMITED)
    hand.clock.advance(0.5)
    with pytest.raises(NoAvailableModelError) as caught:
        hand.pool.select(REQUEST)
    assert caught.value.reasons == {
        "a/x": "manual, until recovered by hand",
        "b/y": "rate_limited, 1.5 s left",
    }
    assert caught.value.retry_after_s == 1.5
    assert "try again in 1.5 s" in str(caught.value)


def test_request_that_no_model_can_meet_says_what_is_lacking() -> None:
    pool = ByHand().pool
    pool.add_model(model("a/x", features=["streaming"]))
    pool.add_model(model("b/y", window=1000))
    request = CompletionRequest(
        "chat-completion", frozenset({"vision"}), input_tokens=900, output_tokens=101
    )
    with pytest.raises(NoAvailableModelError) as caught:
        pool.select(request)
    assert caught.value.reasons == {
        "a/x": "lacks vision",
        "b/y": "context window 1000 < 1001 tokens",
    }


def test_standby_model_serves_again_once_its_time_has_passed() -> None:
    hand = ByHand("a/x")
    hand.pool.deactivate(model("a/x"), Reason.ERROR_THRESHOLD)
    hand.clock.advance(1.999)
    with pytest.raises(NoAvailableModelError):
        hand.pool.select(REQUEST)
    hand.clock.advance(0.001)
    assert hand.pool.select(REQUEST).id == "a/x"
    assert ids(hand.pool.get_active_models()) == ["a/x"]


@pytest.mark.parametrize(
    "reason", ["manual", "budget_exceeded", "token_limit", "request_limit", "maintenance_window"]
)
def test_standby_without_an_end_of_its_own_lasts_until_recovered(reason: str) -> None:
    hand = ByHand("a/x")
    hand.pool.deactivate(model("a/x"), reason)
    hand.clock.advance(1e9)
    with pytest.raises(NoAvailableModelError):
        hand.pool.select(REQUEST)
    assert hand.events[-1].until is None
    hand.pool.recover(model("a/x"))
    assert hand.pool.select(REQUEST).id == "a/x"


def test_deactivation_and_recovery_are_one_event_each_with_the_reason() -> None:
    hand = ByHand("a/x")
    hand.clock.advance(5)
    hand.pool.deactivate(model("a/x"), Reason.QUOTA_EXHAUSTED)
    hand.clock.advance(1)
    hand.pool.recover(model("a/x"))
    hand.pool.recover(model("a/x"))
    gone, back = hand.events[1:]
    assert gone == RoutingEvent(
        EventType.MODEL_DEACTIVATED, "text", "a/x", 5.0, "quota_exhausted", until=305.0
    )
    assert back == RoutingEvent(EventType.MODEL_ACTIVATED, "text", "a/x", 6.0, "quota_exhausted")


def test_second_deactivation_keeps_the_later_of_the_two_ends() -> None:
    hand = ByHand("a/x")
    hand.pool.deactivate(model("a/x"), Reason.AUTH_FAILURE)
    hand.pool.deactivate(model("a/x"), Reason.RATE_LIMITED)
    assert [kind for kind, *_ in hand.told()[1:]] == [EventType.MODEL_DEACTIVATED]
    hand.pool.deactivate(model("a/x"), "manual")
    assert hand.told()[-1] == (EventType.STANDBY_EXTENDED, "a/x", "manual")
    assert hand.pool.next_trial_s(REQUEST, CHAT) is None
    assert hand.pool.get_state().rotation_events == 1


def test_stranger_can_be_neither_deactivated_nor_recovered() -> None:
    pool = ByHand("a/x").pool
    with pytest.raises(KeyError, match="unknown model 'a/xx'; nearest: a/x"):
        pool.deactivate(model("a/xx"), "manual")
    with pytest.raises(KeyError, match="unknown model 'a/xx'; nearest: a/x"):
        pool.recover(model("a/xx"))


def test_standby_models_are_listed_in_the_order_they_left() -> None:
    pool = ByHand("a/x", "b/y", "c/z").pool
    pool.deactivate(model("c/z"), "manual")
    pool.deactivate(model("a/x"), "manual")
    assert ids(pool.get_standby_models()) == ["c/z", "a/x"]
    assert ids(pool.get_active_models()) == ["b/y"]


@pytest.mark.parametrize(
    ("preferences", "taken"),
    [
        (PoolPreferences(), ["a/x", "b/y", "c/z"]),
        (PoolPreferences(allowed_providers=["a", "b"]), ["a/x", "b/y"]),
        (PoolPreferences(excluded_providers=["a"]), ["b/y", "c/z"]),
        (PoolPreferences(allowed_providers=["a", "b"], excluded_providers=["a"]), ["b/y"]),
    ],
)
def test_pool_takes_models_of_its_providers_only(
    preferences: PoolPreferences, taken: list[str]
) -> None:
    pool = ByHand(preferences=preferences).pool
    for each in map(model, ("a/x", "b/y", "c/z")):
        assert pool.covers(each) is (each.id in taken)
        if each.id not in taken:
            with pytest.raises(ValueError, match=r"the pool's filters do not admit it"):
                pool.add_model(each)
        else:
            pool.add_model(each)
    assert ids(pool.get_active_models()) == taken


def test_models_go_before_providers_and_providers_before_the_order_of_joining() -> None:
    preferences = PoolPreferences(model_priority=["c/2"], provider_priority=["b", "a"])
    hand = ByHand("c/1", "a/1", "b/1", "c/2", "b/2", preferences=preferences)
    served = []
    while hand.pool.get_active_models():
        served.append(hand.pool.select(REQUEST))
        hand.pool.deactivate(served[-1], "manual")
    assert ids(served) == ["c/2", "b/1", "b/2", "a/1", "c/1"]


def test_raising_subscriber_harms_nobody_and_is_remembered() -> None:
    hand = ByHand("a/x")
    heard: list[RoutingEvent] = []

    def broken(event: RoutingEvent) -> None:
        raise RuntimeError(event.model)

    hand.emitter.subscribe(broken)
    hand.emitter.subscribe(heard.append)
    hand.pool.deactivate(model("a/x"), "manual")
    hand.pool.recover(model("a/x"))
    assert heard == hand.events[1:]
    assert len(heard) == 2
    assert [(event, str(error)) for event, error in hand.emitter.failures] == [
        (event, "a/x") for event in heard
    ]


def test_subscriber_may_ask_for_one_type_and_may_leave() -> None:
    hand = ByHand()
    returned: list[RoutingEvent] = []
    hand.emitter.subscribe(returned.append, EventType.MODEL_ACTIVATED)
    for _ in range(2):
        hand.pool.add_model(model("a/x"))
        hand.pool.deactivate(model("a/x"), "manual")
        hand.pool.recover(model("a/x"))
        hand.emitter.unsubscribe(returned.append)
    assert [event.type for event in returned] == [EventType.MODEL_ACTIVATED]


def test_subscriber_may_use_the_pool_it_hears_of() -> None:
    hand = ByHand("a/x", "b/y")
    counts: list[int] = []
    hand.emitter.subscribe(lambda _: counts.append(hand.pool.get_state().standby_count))
    hand.pool.deactivate(model("a/x"), "manual")
    assert counts == [1]


def test_observability_gets_the_pools_own_events_even_if_it_breaks() -> None:
    class Connector:
        def __init__(self) -> None:
            self.events: list[RoutingEvent] = []

        def record(self, item: RoutingEvent | Decision) -> None:
            assert isinstance(item, RoutingEvent)
            self.events.append(item)
            raise OSError("collector is down")

    connector, emitter = Connector(), EventEmitter()
    pool = CapabilityPool("text", TEXT, RotationPolicy(), emitter, observability=connector)
    other = CapabilityPool("other", TEXT, RotationPolicy(), emitter)
    for each in (pool, other):
        each.add_model(model("a/x"))
        each.deactivate(model("a/x"), "manual")
        each.remove_model(model("a/x"))
    assert [(event.pool, event.type) for event in connector.events] == [
        ("text", EventType.POOL_MEMBERSHIP_CHANGED),
        ("text", EventType.MODEL_DEACTIVATED),
        ("text", EventType.POOL_MEMBERSHIP_CHANGED),
    ]
    assert len(emitter.failures) == 3


def test_reasons_name_only_members_at_or_under_the_node() -> None:
    hand = ByHand(node=TEXT)
    for each in (model("a/x"), model("b/y", "code-generation")):
        hand.pool.add_model(each)
        hand.pool.deactivate(each, "manual")
    assert list(hand.pool.reasons(REQUEST, CODE)) == ["b/y"]
    assert list(hand.pool.reasons(REQUEST, TEXT)) == ["a/x", "b/y"]
    assert hand.pool.reasons(REQUEST, "generation.audio-generation") == {}
