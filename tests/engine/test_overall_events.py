"""What is told of providers, of the set of models, and of a pool at its wits' end."""

from collections import Counter
from collections.abc import Callable
from math import inf

import pytest

from capability_router.engine.blueprint import Blueprint
from capability_router.engine.deactivation import ErrorThreshold, ProviderOutage
from capability_router.engine.errors import AllModelsFailedError
from capability_router.engine.events import EventType, RoutingEvent
from capability_router.engine.faults import FAULT_TABLE
from capability_router.engine.model import Model
from capability_router.engine.outcome import FailureKind, Outcome
from capability_router.engine.reason import Reason
from capability_router.engine.retry import Backoff, RepeatScope, RetryBudget, RetryPolicy
from capability_router.engine.rotation import Degrade, RotationPolicy
from capability_router.engine.selection import RoundRobin
from tests.engine.building import CHAT, CODE, Rig, model, overloaded, together

HEALTH = EventType.PROVIDER_HEALTH_CHANGED
GONE, BACK = EventType.PROVIDER_DEACTIVATED, EventType.PROVIDER_RECOVERED


def health(provider: str, before: str, after: str) -> tuple[str, dict[str, object]]:
    return "provider_health_changed", {"provider": provider, "from": before, "to": after}


def updated(*added: str, removed: tuple[str, ...] = ()) -> tuple[str, dict[str, object]]:
    return "models_updated", {"added": [*added], "removed": [*removed]}


def rig_of_two_pools(*models: str) -> Rig:
    rig = Rig(*models)
    rig.router.add_pool("text", "text-generation")
    rig.router.add_pool("chat", "chat-completion")
    rig.overall.clear()
    return rig


def test_set_of_models_is_told_once_for_each_step() -> None:
    rig = Rig("a/x", "b/y")
    rig.router.unregister("a/x")
    updates = [updated("a/x"), updated("b/y"), updated(removed=("a/x",))]
    assert rig.told_overall(EventType.MODELS_UPDATED) == updates


def blueprint(*models: Model) -> Blueprint:
    tree = Rig().router.tree
    return Blueprint(tree, (), tuple(models), (), FAULT_TABLE)


def test_configuration_that_changes_several_models_tells_of_them_together() -> None:
    rig = Rig("hand/x")
    rig.router.configure(blueprint(model("a/x"), model("b/y")))
    rig.overall.clear()
    rig.router.configure(blueprint(model("b/y"), model("c/z"), model("d/w")))
    assert rig.told_overall() == [updated("c/z", "d/w", removed=("a/x",))]


def test_configuration_that_changes_no_model_tells_of_none() -> None:
    rig = Rig()
    rig.router.configure(blueprint(model("a/x")))
    rig.overall.clear()
    rig.router.configure(blueprint(model("a/x", window=8000)))
    assert rig.told_overall() == []


def test_model_that_goes_over_to_another_provider_is_dropped_and_added() -> None:
    rig = Rig()
    rig.router.configure(blueprint(Model("x", ("chat-completion",), provider="a")))
    rig.router.configure(blueprint(Model("x", ("chat-completion",), provider="b")))
    assert rig.told_overall() == [updated("x"), updated("x", removed=("x",))]


def test_refused_registration_tells_nothing() -> None:
    rig = Rig("a/x")
    rig.overall.clear()
    with pytest.raises(ValueError, match="registered already"):
        rig.router.register(model("a/x"))
    rig.serve()
    assert rig.overall == []


def test_health_of_a_provider_goes_by_the_share_of_its_models_on_standby() -> None:
    rig = rig_of_two_pools("a/x", "a/y", "b/z")
    for step in (rig.router.deactivate, rig.router.recover):
        step("a/x")
        step("a/y")
    assert rig.told_overall() == [
        health("a", "healthy", "degraded"),
        health("a", "degraded", "down"),
        health("a", "down", "degraded"),
        health("a", "degraded", "healthy"),
    ]


def test_standby_in_one_of_several_pools_makes_a_provider_degraded() -> None:
    rig = rig_of_two_pools("a/x")
    text, chat = rig.router.pools
    for pool in (text, chat):
        pool.deactivate(rig.router.model("a/x"), "manual")
    for pool in (text, chat):
        pool.recover(rig.router.model("a/x"))
    assert rig.told_overall() == [health("a", "healthy", "down"), health("a", "down", "healthy")]


def test_registering_and_dropping_models_changes_the_health_of_their_provider() -> None:
    rig = rig_of_two_pools("a/x", "b/z")
    rig.router.deactivate("a/x")
    rig.router.register(model("a/y"))
    rig.router.unregister("a/y")
    rig.router.unregister("a/x")
    assert rig.told_overall(HEALTH) == [
        health("a", "healthy", "down"),
        health("a", "down", "degraded"),
        health("a", "degraded", "down"),
        health("a", "down", "healthy"),
    ]


def test_provider_whose_key_is_refused_is_sent_away_once_and_taken_back_once() -> None:
    rig = rig_of_two_pools("a/x", "a/y", "b/z")
    rig.fail(FailureKind.AUTH)
    (gone, changed) = rig.overall
    until = rig.events[-1].until
    facts = "", "", rig.clock.now(), "auth_failure"
    whole: dict[str, object] = {"provider": "a", "health": "down"}
    assert gone == RoutingEvent(GONE, *facts, until, details=whole)
    assert (changed.reason, changed.details) == (
        "auth_failure",
        {"provider": "a", "from": "healthy", "to": "down"},
    )
    for _ in range(3):
        rig.clock.advance(700.0)
        rig.fail(FailureKind.AUTH)
    assert rig.overall == [gone, changed]
    rig.clock.advance(7000.0)
    rig.serve()
    assert rig.told_overall()[2:] == [
        ("provider_recovered", {"provider": "a", "health": "healthy"}),
        health("a", "down", "healthy"),
    ]
    rig.clock.advance(7000.0)
    rig.fail(FailureKind.AUTH)
    assert len(rig.told_overall(GONE)) == 2


def test_provider_is_taken_back_when_the_last_model_is_that_left_with_it() -> None:
    rig = rig_of_two_pools("a/x", "a/y", "b/z")
    rig.fail(FailureKind.AUTH)
    rig.router.recover("a/x")
    assert rig.told_overall(BACK) == []
    rig.router.recover("a/y")
    (back,) = (event for event in rig.overall if event.type is BACK)
    assert (back.reason, back.details["provider"]) == ("auth_failure", "a")


def test_models_that_a_person_keeps_away_do_not_keep_their_provider_away() -> None:
    rig = rig_of_two_pools("a/x", "a/y", "b/z")
    rig.fail(FailureKind.AUTH)
    rig.router.deactivate("a/y")
    rig.overall.clear()
    rig.clock.advance(700.0)
    assert rig.serve() == "a/x"
    assert rig.told_overall() == [
        ("provider_recovered", {"provider": "a", "health": "degraded"}),
        health("a", "down", "degraded"),
    ]


def test_model_that_joins_a_provider_which_is_away_changes_nothing() -> None:
    rig = rig_of_two_pools("a/x", "b/z")
    rig.fail(FailureKind.AUTH)
    rig.overall.clear()
    rig.router.register(model("a/new"))
    assert (rig.standby(), rig.told_overall()) == (["a/x", "a/new"], [updated("a/new")])


def test_outage_that_is_concluded_from_some_models_is_told_of_the_provider() -> None:
    policy = RotationPolicy(selection=RoundRobin, max_ejected=1.0, outage=ProviderOutage())
    rig = Rig(*(f"a/{name}" for name in "wxyz"), "b/z", policy=policy)
    for name in "wxy":
        if f"a/{name}" in rig.active():
            rig.fail_out(f"a/{name}")
    assert [(event.type, event.reason) for event in rig.overall if event.type is GONE] == [
        (GONE, Reason.PROVIDER_OUTAGE)
    ]
    assert rig.told_overall(HEALTH)[-1][1]["to"] == "down"


def test_fault_of_one_model_alone_is_not_told_of_its_provider() -> None:
    rig = rig_of_two_pools("a/x", "a/y", "b/z")
    bad = rig.select()
    rig.clock.advance(1.0)
    rig.router.report(rig.select(CHAT, "a/x"), Outcome.success())
    rig.router.report(bad, Outcome.failed(FailureKind.AUTH))
    assert (rig.standby(), rig.told_overall()) == (["a/x"], [health("a", "healthy", "degraded")])


def test_model_that_is_tried_before_its_time_is_told() -> None:
    rig = Rig("a/x")
    rig.fail_out("a/x")
    until = rig.events[-1].until or inf
    rig.router.release(rig.select())
    panic = rig.events[-2]
    assert panic == RoutingEvent(
        EventType.PANIC, CHAT, "a/x", rig.clock.now(), Reason.ERROR_THRESHOLD, until
    )
    assert panic.at < until
    rig.clock.advance(until)
    rig.serve()
    assert len(rig.told(EventType.PANIC)) == 1


def test_related_node_that_stands_in_is_told() -> None:
    policy = RotationPolicy(degrade=(Degrade.SIBLINGS,))
    rig = Rig(model("a/x", "code-generation"), policy=policy)
    rig.serve()
    (event,) = (event for event in rig.events if event.type is EventType.DEGRADED)
    assert (event.pool, event.model, event.details) == (CODE, "a/x", {"from": CHAT, "to": CODE})


def budgeted(**budget: float) -> Rig:
    retry = RetryPolicy(
        scope=RepeatScope.FIRST,
        backoff=Backoff.FIXED,
        base_s=0.0,
        same_model=9,
        max_attempts=9,
        budget=RetryBudget(**budget),
    )
    patient = ErrorThreshold(consecutive=100, rate=None)
    return Rig("a/x", policy=RotationPolicy(retry=retry, deactivation=patient))


def fail_all(rig: Rig) -> None:
    def answer(asked: Model) -> str:
        raise overloaded()

    with pytest.raises(AllModelsFailedError):
        rig.router.call("chat-completion", answer)


def exhausted(rig: Rig) -> list[tuple[str, str]]:
    events = (event for event in rig.events if event.type is EventType.BUDGET_EXHAUSTED)
    return [(event.pool, event.model) for event in events]


def test_budget_of_repetitions_that_runs_out_is_told_when_it_does() -> None:
    rig = budgeted(share=0.0, per_s=0.2)
    fail_all(rig)
    assert exhausted(rig) == [(CHAT, "")]
    fail_all(rig)
    assert exhausted(rig) == [(CHAT, "")]
    rig.clock.advance(5.0)
    fail_all(rig)
    assert exhausted(rig) == [(CHAT, ""), (CHAT, "")]


def test_healthy_requests_tell_nothing() -> None:
    rig = rig_of_two_pools("a/x", "b/z")
    rig.events.clear()
    for _ in range(20):
        rig.serve()
    assert (rig.events, rig.overall) == ([], [])


def test_each_change_of_health_is_told_to_threads_that_move_models_at_once() -> None:
    rig = rig_of_two_pools("a/w", "a/x", "a/y", "a/z")

    def toggling(name: str) -> Callable[[], None]:
        def job() -> None:
            for _ in range(50):
                rig.router.deactivate(name)
                rig.router.recover(name)

        return job

    together(*(toggling(model.id) for model in rig.router.models))
    told = [details for _, details in rig.told_overall(HEALTH)]
    # Each state was left as often as it was come to: none was told twice, and none left out.
    assert Counter(each["from"] for each in told) == Counter(each["to"] for each in told)
    assert all(each["from"] != each["to"] for each in told)
    assert len(told) > 1


def test_event_of_a_provider_names_it() -> None:
    rig = rig_of_two_pools("a/x", "b/z")
    rig.fail(FailureKind.BILLING)
    assert str(rig.overall[0]).startswith("provider a: provider_deactivated (billing), for ")
    assert str(rig.overall[1]) == "provider a: provider_health_changed (billing)"


def test_person_who_gives_the_reason_anew_takes_a_model_over_from_its_provider() -> None:
    rig = rig_of_two_pools("a/x", "b/z")
    rig.fail(FailureKind.AUTH)
    rig.router.deactivate("a/x", Reason.MANUAL)
    rig.overall.clear()
    rig.clock.advance(1.0)
    told = len(rig.events)
    rig.router.deactivate("a/x", Reason.AUTH_FAILURE)
    assert len(rig.events) == told
    assert rig.told_overall() == [("provider_recovered", {"provider": "a", "health": "down"})]


def test_health_of_a_provider_can_be_asked_for() -> None:
    rig = rig_of_two_pools("a/x", "a/y")
    rig.router.deactivate("a/x")
    rig.router.register(model("b/z"))
    health = [str(rig.router.provider_health(each)) for each in ("a", "b", "nobody")]
    assert health == ["degraded", "healthy", "healthy"]
