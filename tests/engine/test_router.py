"""From a request to a lease, and from an outcome to every pool it concerns."""

from dataclasses import replace

import pytest

from capability_router.engine.errors import (
    NoAvailableModelError,
    UnknownCapabilityError,
    UnknownModelError,
    UnknownPoolError,
)
from capability_router.engine.events import EventType
from capability_router.engine.faults import FAULT_TABLE, Health
from capability_router.engine.membership import PoolPreferences
from capability_router.engine.outcome import FailureKind, Outcome, Usage
from capability_router.engine.recovery import Cooldown
from capability_router.engine.request import CompletionRequest
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.selection import Priority
from tests.engine.building import CHAT, CODE, TEXT, Rig, ids, model

STEADY = RotationPolicy(recovery=Cooldown(jitter=0.0))
CODER = model("coder/x", "code-generation")


def test_model_joins_exactly_the_pools_at_or_above_its_leaves_at_once() -> None:
    rig = Rig()
    for name, node in (("gen", "generation"), ("code", CODE), ("voice", "audio-generation")):
        rig.router.add_pool(name, node)
    rig.router.register(CODER)
    assert {name: rig.active(name) for name in ("gen", "code", "voice")} == {
        "gen": ["coder/x"],
        "code": ["coder/x"],
        "voice": [],
    }


def test_registered_model_bears_full_paths() -> None:
    rig = Rig()
    registered = rig.router.register(model("a/x", "chat-completion", CODE))
    assert registered.capabilities == (CHAT, CODE)
    assert rig.router.model("a/x") is registered
    assert rig.router.models == [registered]


def test_pool_declared_later_takes_in_who_is_there() -> None:
    rig = Rig("a/x", "b/y", CODER)
    pool = rig.router.add_pool("chat", CHAT, preferences=PoolPreferences(excluded_providers=["a"]))
    assert ids(pool.get_active_models()) == ["b/y"]
    assert rig.router.pools == [pool]


def test_model_with_two_leaves_is_once_in_the_pool_above_both() -> None:
    rig = Rig()
    rig.router.add_pool("text", TEXT)
    rig.router.register(model("a/x", "chat-completion", "code-generation"))
    assert rig.active("text") == ["a/x"]
    assert rig.told() == [(EventType.POOL_MEMBERSHIP_CHANGED, "a/x")]


def test_model_registers_at_leaves_only() -> None:
    rig = Rig()
    with pytest.raises(ValueError, match=r"is no leaf; register at its leaves: chat-completion, "):
        rig.router.register(model("a/x", "text-generation"))
    with pytest.raises(UnknownCapabilityError):
        rig.router.register(model("a/x", "chat-completion", "nothing"))
    assert rig.router.models == []


def test_id_that_is_taken_is_refused_until_it_is_free() -> None:
    rig = Rig("a/x")
    with pytest.raises(ValueError, match="'a/x' is registered already"):
        rig.router.register(model("a/x"))
    rig.router.unregister("a/x")
    rig.router.register(model("a/x"))
    assert rig.active() == ["a/x"]


def test_pool_name_that_is_taken_is_refused() -> None:
    rig = Rig()
    rig.router.add_pool("text", TEXT)
    with pytest.raises(ValueError, match="pool 'text' exists already"):
        rig.router.add_pool("text", CHAT)


def test_most_specific_pool_serves_first_and_the_one_above_when_it_is_exhausted() -> None:
    rig = Rig("a/x", "b/y")
    rig.router.add_pool("gen", "generation")
    rig.router.add_pool("chat", CHAT, preferences=PoolPreferences(allowed_providers=["b"]))
    assert rig.router.pool("chat-completion").name == "chat"
    first = rig.select()
    second = rig.select("chat-completion", first.model.id)
    assert [(lease.pool.name, lease.model.id) for lease in (first, second)] == [
        ("chat", "b/y"),
        ("gen", "a/x"),
    ]


def test_pools_of_one_node_are_asked_in_the_order_of_their_declaration() -> None:
    rig = Rig("a/x")
    for name in ("second", "first"):
        rig.router.add_pool(name, CHAT)
    assert rig.select().pool.name == "second"


def test_pool_above_serves_only_models_at_or_under_the_requested_node() -> None:
    rig = Rig(CODER, "a/x")
    rig.router.add_pool("gen", "generation")
    assert rig.select(CHAT).model.id == "a/x"
    assert rig.select(CODE).model.id == "coder/x"
    assert {rig.select(TEXT, tried).model.id for tried in ("a/x", "coder/x")} == {"a/x", "coder/x"}
    with pytest.raises(NoAvailableModelError, match="no pool of 'ocr' has a model"):
        rig.select("ocr")
    with pytest.raises(NoAvailableModelError) as caught:
        rig.select(CHAT, "a/x")
    assert caught.value.reasons == {"a/x": "tried in this call"}


def test_wait_that_an_error_promises_is_for_a_model_that_can_serve_the_request() -> None:
    rig = Rig("a/x", CODER, policy=STEADY)
    rig.router.add_pool("text", TEXT)
    rig.router.deactivate("a/x", "rate_limited")
    rig.router.deactivate("coder/x", "manual")
    with pytest.raises(NoAvailableModelError) as chat:
        rig.select(CHAT)
    with pytest.raises(NoAvailableModelError) as code:
        rig.select(CODE)
    assert chat.value.retry_after_s == 2.0
    assert code.value.retry_after_s is None


def test_node_without_a_declared_pool_has_one_of_its_own() -> None:
    rig = Rig("a/x", CODER)
    assert rig.select("text-generation").pool.name == TEXT
    assert rig.active("text-generation") == ["a/x", "coder/x"]
    assert rig.router.pools == []
    assert rig.router.pool(TEXT) is rig.router.pool("text-generation")
    rig.router.register(model("b/y"))
    assert rig.active("text-generation") == ["a/x", "coder/x", "b/y"]


def test_declared_pool_takes_over_from_the_implicit_one() -> None:
    rig = Rig("a/x")
    assert rig.select().pool.name == CHAT
    rig.router.add_pool("text", TEXT)
    assert rig.select().pool.name == "text"


def test_request_may_name_its_pool() -> None:
    rig = Rig("a/x", "b/y")
    rig.router.add_pool("all", CHAT)
    rig.router.add_pool("only-b", CHAT, preferences=PoolPreferences(allowed_providers=["b"]))
    lease = rig.router.select(CompletionRequest(CHAT, pool="only-b"))
    assert (lease.pool.name, lease.model.id) == ("only-b", "b/y")
    with pytest.raises(NoAvailableModelError):
        rig.router.select(CompletionRequest(CHAT, pool="only-b"), ["b/y"])


def test_promoted_leaf_goes_on_serving_and_its_children_join_it() -> None:
    rig = Rig("a/x")
    rig.router.add_pool("chat", CHAT)
    rig.router.tree.add_node(CHAT, "small-talk")
    assert rig.serve() == "a/x"
    rig.router.register(model("b/y", "small-talk"))
    assert rig.active("chat") == ["a/x", "b/y"]
    assert rig.select("small-talk").model.id == "b/y"
    assert rig.select("chat-completion", "a/x").model.id == "b/y"
    with pytest.raises(ValueError, match="is no leaf; register at its leaves: small-talk"):
        rig.router.register(model("c/z"))


@pytest.mark.parametrize(
    ("ask", "error", "words"),
    [
        (lambda rig: rig.select("chat-compltion"), UnknownCapabilityError, f"nearest: {CHAT}"),
        (lambda rig: rig.router.plan("chat-compltion"), UnknownCapabilityError, "nearest"),
        (lambda rig: rig.router.pool("txt"), UnknownPoolError, "'txt'; nearest: text"),
        (lambda rig: rig.router.pool("chat-compltion"), UnknownPoolError, f"nearest: {CHAT}"),
        (lambda rig: rig.router.model("a/xx"), UnknownModelError, "'a/xx'; nearest: a/x"),
        (lambda rig: rig.router.state("a/xx"), UnknownModelError, "nearest: a/x"),
        (lambda rig: rig.router.unregister("a/xx"), UnknownModelError, "nearest: a/x"),
        (lambda rig: rig.router.deactivate("a/xx", "manual"), UnknownModelError, "nearest"),
        (lambda rig: rig.router.recover("a/xx"), UnknownModelError, "nearest: a/x"),
        (lambda rig: rig.router.add_pool("p", "nothing"), UnknownCapabilityError, "'nothing'"),
        (
            lambda rig: rig.router.select(CompletionRequest(CHAT, pool="txt")),
            UnknownPoolError,
            "'txt'; nearest: text",
        ),
    ],
)
def test_unknown_name_is_an_error_that_names_the_nearest(
    ask: object, error: type[Exception], words: str
) -> None:
    rig = Rig("a/x")
    rig.router.add_pool("text", TEXT)
    assert callable(ask)
    with pytest.raises(error, match=words) as caught:
        ask(rig)
    assert isinstance(caught.value, KeyError)


def test_rejected_credential_sends_the_whole_provider_away_in_every_pool() -> None:
    rig = Rig("a/x", "b/y", model("a/coder", "code-generation"))
    for name, node in (("chat", CHAT), ("code", CODE)):
        rig.router.add_pool(name, node)
    assert rig.fail(FailureKind.AUTH) == "a/x"
    assert (rig.standby("chat"), rig.standby("code")) == (["a/x"], ["a/coder"])
    assert rig.active("chat") == ["b/y"]
    assert [e.reason for e in rig.events if e.type is EventType.MODEL_DEACTIVATED] == [
        "auth_failure"
    ] * 2


def test_provider_stays_away_for_as_long_as_the_pool_that_met_the_fault_says() -> None:
    rig = Rig("a/x", "a/y", policy=STEADY)
    patient = Cooldown(jitter=0.0, reason_cooldowns={"auth_failure": (900.0, 900.0)})
    rig.router.add_pool("chat", CHAT)
    rig.router.add_pool("text", TEXT, policy=RotationPolicy(recovery=patient))
    assert rig.fail(FailureKind.AUTH) == "a/x"
    left = [e for e in rig.events if e.type is EventType.MODEL_DEACTIVATED]
    assert {(e.pool, e.model): e.until for e in left} == {
        ("chat", "a/x"): 60,
        ("chat", "a/y"): 60,
        ("text", "a/x"): 900,
        ("text", "a/y"): 60,
    }


def test_one_successful_trial_brings_the_whole_provider_back() -> None:
    rig = Rig("a/x", model("a/coder", "code-generation"), policy=STEADY)
    for name, node in (("chat", CHAT), ("code", CODE)):
        rig.router.add_pool(name, node)
    rig.fail(FailureKind.AUTH)
    rig.clock.advance(60)
    assert rig.serve() == "a/x"
    assert (rig.active("chat"), rig.active("code")) == (["a/x"], ["a/coder"])


def test_recovery_of_the_provider_leaves_who_left_for_another_reason() -> None:
    rig = Rig("a/x", "a/y", "a/z", "b/w", policy=STEADY)
    rig.router.deactivate("a/y", "manual")
    rig.router.deactivate("a/z", "not_found")
    rig.fail(FailureKind.AUTH)
    rig.clock.advance(60)
    assert rig.serve() == "a/x"
    assert rig.standby() == ["a/y", "a/z"]


def test_failed_trial_of_one_model_keeps_the_rest_of_the_provider_away() -> None:
    rig = Rig("a/x", "a/y", policy=STEADY)
    rig.fail(FailureKind.AUTH)
    rig.clock.advance(60)
    # The trial goes to the one that has failed least.
    assert rig.fail(FailureKind.AUTH) == "a/y"
    assert rig.standby() == ["a/x", "a/y"]
    with pytest.raises(NoAvailableModelError) as caught:
        rig.select()
    assert caught.value.retry_after_s == 60


def test_health_is_known_to_every_pool_of_the_model() -> None:
    rig = Rig("a/x", "b/y", policy=STEADY)
    for name, node in (("chat", CHAT), ("text", TEXT)):
        rig.router.add_pool(name, node)
    rig.fail_out("a/x")
    assert (rig.standby("chat"), rig.standby("text")) == (["a/x"], ["a/x"])
    rig.clock.advance(2)
    assert rig.serve() == "a/x"
    assert (rig.standby("chat"), rig.standby("text")) == ([], [])


def test_model_is_deactivated_and_recovered_in_all_its_pools_by_its_id() -> None:
    rig = Rig("a/x")
    for name, node in (("chat", CHAT), ("text", TEXT)):
        rig.router.add_pool(name, node)
    rig.router.deactivate("a/x", "maintenance_window")
    assert (rig.standby("chat"), rig.standby("text")) == (["a/x"], ["a/x"])
    assert {event.reason for event in rig.events[2:]} == {"maintenance_window"}
    rig.router.recover("a/x")
    assert (rig.active("chat"), rig.active("text")) == (["a/x"], ["a/x"])


def test_answers_are_counted_with_their_tokens_and_their_time() -> None:
    rig = Rig("a/x")
    lease = rig.select()
    assert rig.router.state("a/x").in_flight == 1
    rig.clock.advance(1.5)
    rig.router.report(lease, Outcome.success(Usage(10, 20)))
    rig.router.report(rig.select(), Outcome(usage=Usage(1, 2), latency_s=0.5))
    state = rig.router.state("a/x")
    assert (state.in_flight, state.successes, state.failures) == (0, 2, 0)
    assert (state.input_tokens, state.output_tokens) == (11, 22)
    assert state.latency_total_s == 2.0


@pytest.mark.parametrize(
    "kind", [k for k, rule in FAULT_TABLE.items() if rule.health is Health.UNTOUCHED]
)
def test_failure_that_is_nobodys_fault_changes_no_health(kind: FailureKind) -> None:
    rig = Rig("a/x", "b/y")
    for _ in range(10):
        rig.fail(kind)
    assert rig.health() == {"a/x": (0, False), "b/y": (0, False)}
    assert [event.type for event in rig.events] == [EventType.POOL_MEMBERSHIP_CHANGED] * 2


def test_same_pool_is_handed_the_next_model_in_one_call_with_a_rotation_event() -> None:
    rig = Rig("a/x", "b/y", policy=RotationPolicy(selection=Priority))
    rig.select()
    assert rig.told(EventType.MODEL_ROTATED) == []
    rig.select("chat-completion", "a/x")
    assert rig.told(EventType.MODEL_ROTATED) == [(EventType.MODEL_ROTATED, "b/y")]
    assert rig.events[-1].details == {"tried": ["a/x"]}
    assert rig.router.pool("chat-completion").get_state().total_requests == 2


def test_candidates_are_all_that_may_serve_by_what_they_are() -> None:
    away = replace(model("c/1"), context_window=10)
    rig = Rig("a/1", "b/1", away, model("d/1", CODE), model("e/1", CHAT, CODE))
    rig.router.deactivate("a/1")
    request = CompletionRequest(CHAT)
    assert ids(rig.router.candidates(request)) == ["a/1", "b/1", "c/1", "e/1"]
    assert ids(rig.router.candidates(replace(request, input_tokens=20))) == ["a/1", "b/1", "e/1"]
    assert len(rig.router.candidates(CompletionRequest(TEXT))) == 5


def test_candidates_are_those_of_the_pool_that_is_named() -> None:
    rig = Rig("a/1", "b/1")
    rig.router.add_pool("one", CHAT, preferences=PoolPreferences(excluded_providers=["a"]))
    assert ids(rig.router.candidates(CompletionRequest(CHAT, pool="one"))) == ["b/1"]
    with pytest.raises(UnknownPoolError):
        rig.router.candidates(CompletionRequest(CHAT, pool="two"))
