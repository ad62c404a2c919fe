"""A request may name the providers that it would rather have."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router import registry
from capability_router.engine.errors import NoAvailableModelError
from capability_router.engine.limits import Limit, Unit
from capability_router.engine.model import Model
from capability_router.engine.outcome import Failure, FailureKind, Outcome
from capability_router.engine.request import CompletionRequest
from capability_router.engine.rotation import Degrade, RotationPolicy
from capability_router.engine.scored import Scored
from capability_router.engine.selection import Priority, RoundRobin, WithParameters
from tests.engine.building import CHAT, CODE, TEXT, ProviderError, Rig, model

ONCE = Limit(Unit.REQUESTS, 1, window_s=60.0)


def served(rig: Rig, *prefers: str, tried: Sequence[str] = (), **asked: str | None) -> str:
    """Let the next request succeed; return the id of the model it went to."""
    request = replace(CompletionRequest(CHAT, prefers=prefers), **asked)  # type: ignore[arg-type]  # each test names its fields
    lease = rig.router.select(request, tried)
    rig.router.report(lease, Outcome.success())
    return lease.model.id


def test_preferred_providers_are_asked_in_their_order_and_then_the_others() -> None:
    rig = Rig("a/1", "b/1", "c/1", "d/1")
    tried: list[str] = []
    for _ in range(4):
        tried.append(served(rig, "c", "b", tried=tried))
    assert tried == ["c/1", "b/1", "a/1", "d/1"]


def test_request_without_a_preference_is_served_as_before() -> None:
    rig = Rig("a/1", "b/1")
    assert [served(rig, "b"), served(rig), served(rig, "b"), served(rig)] == ["b/1", "a/1"] * 2


@pytest.mark.parametrize("name", sorted(set(registry.names("strategies")) - {"scored"}))
def test_preference_goes_before_every_strategy(name: str) -> None:
    factory = registry.resolve(registry.STRATEGIES, name)
    rig = Rig("a/1", "b/1", "b/2", "c/1", policy=RotationPolicy(selection=factory))  # type: ignore[arg-type]  # the registry knows no types
    for session in ("one", "two", "three", None):
        asked = [served(rig, "b", session=session) for _ in range(4)]
        assert set(asked) <= {"b/1", "b/2"}


def test_strategy_chooses_among_the_models_of_one_provider_and_among_the_others() -> None:
    rig = Rig("a/1", "b/1", "b/2", "c/1", policy=RotationPolicy(selection=RoundRobin))
    assert [served(rig, "b") for _ in range(4)] == ["b/1", "b/2", "b/1", "b/2"]
    others = [served(rig, "b", tried=["b/1", "b/2"]) for _ in range(4)]
    assert others == ["a/1", "c/1", "a/1", "c/1"]


def test_model_that_the_pools_function_leaves_out_is_not_preferred() -> None:
    def score(asked: Model, request: CompletionRequest) -> float | None:
        del request
        return None if asked.id == "b/1" else 1.0

    policy = RotationPolicy(selection=WithParameters(Scored, {"score": score}))
    assert served(Rig("a/1", "b/1", policy=policy), "b") == "a/1"


def test_strategy_that_learns_learns_of_preferred_answers() -> None:
    learnt: list[str] = []

    class Learning(Priority):
        def learn(self, member: object, node: str, outcome: Outcome, latency_s: float) -> None:
            learnt.append(f"{node} {outcome.failure}")

    rig = Rig("a/1", "b/1", policy=RotationPolicy(selection=Learning))
    served(rig, "b")
    assert learnt == [f"{CHAT} None"]


def test_provider_named_twice_counts_where_it_is_named_first() -> None:
    request = CompletionRequest(CHAT, prefers=("c", "b", "c"))
    assert request.prefers == ("c", "b")


def test_providers_may_come_in_a_list() -> None:
    request = CompletionRequest(CHAT, prefers=["c", "b"])  # type: ignore[arg-type]  # as YAML gives it
    assert Rig("b/1", "c/1").router.select(request).model.id == "c/1"


def test_one_text_instead_of_a_list_is_refused() -> None:
    with pytest.raises(TypeError, match=r"prefers 'groq' must be a list of provider ids: \['groq'"):
        CompletionRequest(CHAT, prefers="groq")  # type: ignore[arg-type]  # on purpose


def test_provider_that_nobody_knows_is_passed_over() -> None:
    assert served(Rig("a/1", "b/1"), "nobody", "b") == "b/1"
    assert served(Rig("a/1", "b/1"), "nobody") == "a/1"


def test_provider_that_comes_later_is_preferred_from_then_on() -> None:
    rig = Rig("a/1")
    assert served(rig, "b") == "a/1"
    rig.router.register(model("b/1"))
    assert served(rig, "b") == "b/1"
    rig.router.unregister("b/1")
    assert served(rig, "b") == "a/1"


def test_preferred_model_on_standby_does_not_hold_up_a_request() -> None:
    rig = Rig("a/1", "b/1", "b/2")
    rig.router.deactivate("b/1")
    assert served(rig, "b") == "b/2"
    rig.router.deactivate("b/2")
    assert served(rig, "b") == "a/1"
    rig.router.recover("b/1")
    assert served(rig, "b") == "b/1"


def test_preferred_model_whose_limit_is_used_up_is_passed_over() -> None:
    rig = Rig("a/1", replace(model("b/1"), limits=(ONCE,)), replace(model("c/1"), limits=(ONCE,)))
    assert [served(rig, "b", "c") for _ in range(4)] == ["b/1", "c/1", "a/1", "a/1"]
    rig.clock.advance(62.0)
    assert served(rig, "b", "c") == "b/1"


def test_request_too_large_for_the_preferred_model_goes_to_the_next_preferred_one() -> None:
    small = Limit(Unit.TOKENS, 100, window_s=60.0)
    rig = Rig("a/1", replace(model("b/1"), limits=(small,)), "c/1")
    request = CompletionRequest(CHAT, input_tokens=500, prefers=("b", "c"))
    assert rig.router.select(request).model.id == "c/1"
    assert served(rig, "b", "c") == "b/1"


def test_preferred_model_that_lacks_a_feature_is_passed_over() -> None:
    rig = Rig("a/1", model("b/1", features=["streaming"]))
    request = CompletionRequest(CHAT, frozenset({"vision"}), prefers=("b",))
    assert rig.router.select(request).model.id == "a/1"


def test_spared_model_serves_last_though_it_is_preferred() -> None:
    rig = Rig("a/1", "b/1", policy=RotationPolicy(max_ejected=0.5))
    rig.fail_out("a/1")
    rig.fail_out("b/1")
    rig.router.recover("a/1")
    assert rig.active() == ["a/1", "b/1"]
    assert served(rig, "b") == "a/1"


def test_call_moves_on_to_the_others_when_every_preferred_model_fails() -> None:
    rig, asked = Rig("a/1", "b/1", "b/2", "c/1"), list[str]()

    def only_a(each: Model) -> str:
        asked.append(each.id)
        if each.provider == "a":
            return each.id
        raise ProviderError(503)

    request = CompletionRequest(CHAT, prefers=("b", "c"))
    assert rig.router.call(request, only_a) == "a/1"
    assert asked == ["b/1", "b/2", "c/1", "a/1"]


def due(rig: Rig, *model_ids: str) -> None:
    """Let models leave, and their trials be due."""
    for model_id in model_ids:
        rig.router.deactivate(model_id, "rate_limited")
    rig.clock.advance(60.0)


def test_trial_of_another_model_waits_while_a_preferred_one_can_serve() -> None:
    rig = Rig("a/1", "b/1", "c/1")
    due(rig, "a/1")
    assert served(rig, "c", "b") == "c/1"
    assert served(rig, "z") == "a/1"


def test_trial_of_a_less_preferred_model_waits_as_well() -> None:
    rig = Rig("a/1", "b/1", "c/1")
    due(rig, "b/1")
    assert served(rig, "c", "b") == "c/1"
    assert served(rig, "b", "c") == "b/1"


def test_of_the_trials_that_are_due_a_preferred_one_is_first() -> None:
    rig = Rig("a/1", "b/1", "c/1")
    due(rig, "a/1", "b/1")
    lease = rig.router.select(CompletionRequest(CHAT, prefers=("b",)))
    assert (lease.model.id, lease.probe) == ("b/1", True)


def test_call_that_failed_takes_a_preferred_trial_before_another_one() -> None:
    rig = Rig("a/1", "b/1", "c/1")
    due(rig, "a/1", "b/1")
    request = CompletionRequest(CHAT, prefers=("b",))
    assert rig.router.select(request, ["c/1"]).model.id == "b/1"


def test_model_tried_before_its_time_is_a_preferred_one() -> None:
    rig = Rig("a/1", "b/1", policy=RotationPolicy(max_ejected=1.0))
    rig.fail_out("a/1")
    rig.fail_out("b/1")
    lease = rig.router.select(CompletionRequest(CHAT, prefers=("b",)))
    assert (lease.model.id, lease.panic) == ("b/1", True)


def test_preference_holds_within_each_pool() -> None:
    rig = Rig("a/1", "b/1", model("c/1", CODE))
    rig.router.add_pool("text", TEXT)
    rig.router.add_pool("chat", CHAT)
    rig.router.deactivate("b/1")
    assert served(rig, "b") == "a/1"
    # The wider pool is not asked for a preferred one while the specific one can serve.
    assert rig.router.select(CompletionRequest(CHAT, prefers=("c",))).pool.name == "chat"


def test_preference_holds_at_related_nodes() -> None:
    policy = RotationPolicy(degrade=(Degrade.SIBLINGS,))
    rig = Rig(model("b/1", CODE), model("c/1", CODE), policy=policy)
    lease = rig.router.select(CompletionRequest(CHAT, prefers=("c",)))
    assert (lease.model.id, lease.degraded) == ("c/1", True)


@given(
    providers=st.lists(st.sampled_from("abcd"), min_size=1, max_size=8),
    prefers=st.lists(st.sampled_from("abcdz"), max_size=4).map(tuple),
    away=st.sets(st.integers(0, 7)),
)
def test_whole_order_is_the_pools_order_sorted_by_preference(
    providers: list[str], prefers: tuple[str, ...], away: set[int]
) -> None:
    known = [f"{provider}/{number}" for number, provider in enumerate(providers)]
    rig = Rig(*known, policy=RotationPolicy(selection=Priority))
    for place in away:
        if place < len(known):
            rig.router.deactivate(known[place])
    places = [*dict.fromkeys(prefers), *"abcd"]
    here = [each for place, each in enumerate(known) if place not in away]
    expected = [each for each in here if each[0] in prefers]
    expected.sort(key=lambda each: places.index(each[0]))
    expected += [each for each in here if each[0] not in prefers]
    tried: list[str] = []
    for each in expected:
        assert served(rig, *prefers, tried=tried) == each
        tried.append(each)
    with pytest.raises(NoAvailableModelError):
        served(rig, *prefers, tried=tried)


def test_failure_of_a_preferred_model_is_that_models() -> None:
    rig = Rig("a/1", "b/1")
    for _ in range(3):
        lease = rig.router.select(CompletionRequest(CHAT, prefers=("b",)))
        rig.router.report(lease, Outcome(Failure(FailureKind.SERVER_ERROR)))
    assert (rig.active(), rig.standby()) == (["a/1"], ["b/1"])
    assert served(rig, "b") == "a/1"
