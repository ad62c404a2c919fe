"""One order for each kind of request: what fits is found without looking at what does not."""

from collections.abc import Collection
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.engine.errors import NoAvailableModelError
from capability_router.engine.lanes import Lanes
from capability_router.engine.member import Member
from capability_router.engine.model import Model
from capability_router.engine.request import CompletionRequest
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.selection import InOrder, Priority, RoundRobin
from tests.engine.building import CHAT, CODE, TEXT, Rig, member, model

WINDOWS = (None, 1000, 4000, 8000, 32_000)
FEATURES = (None, (), ("vision",), ("vision", "tool_calling"))


class Counting(InOrder):
    """Counts how many members it has looked at."""

    looked = 0

    def admit(self, member: Member) -> None:
        type(self).looked += 1
        super().admit(member)

    def choose(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> Member | None:
        found = super().choose(request, tried, now)
        type(self).looked += found is not None
        return found


def test_request_that_one_model_in_many_can_serve_looks_at_that_one_only() -> None:
    rig = Rig(policy=RotationPolicy(selection=Counting))
    for number in range(500):
        rig.router.register(model(f"a/{number}", features=["streaming"]))
    rig.router.register(model("z/vision", features=["vision"]))
    request = CompletionRequest(CHAT, frozenset({"vision"}))
    rig.router.select(request)
    Counting.looked = 0
    assert [rig.router.select(request).model.id for _ in range(50)] == ["z/vision"] * 50
    assert Counting.looked == 50


@given(
    windows=st.lists(st.sampled_from(WINDOWS), min_size=1, max_size=8),
    features=st.lists(st.sampled_from(FEATURES), min_size=8, max_size=8),
    asked=st.lists(
        st.tuples(
            st.integers(0, 40_000),
            st.sampled_from([frozenset[str](), frozenset({"vision"}), frozenset({"tool_calling"})]),
            st.sampled_from([CHAT, TEXT, CODE]),
            st.integers(0, 7),
        ),
        max_size=20,
    ),
)
def test_lanes_agree_with_looking_at_every_model(
    windows: list[int | None],
    features: list[tuple[str, ...] | None],
    asked: list[tuple[int, frozenset[str], str, int]],
) -> None:
    rig = Rig(policy=RotationPolicy(selection=Priority))
    rig.router.add_pool("text", TEXT)
    known = [
        model(f"a/{place}", [CHAT, CODE][place % 2], window=window, features=features[place])
        for place, window in enumerate(windows)
    ]
    present: dict[str, int] = {}
    for place, each in enumerate(known):
        rig.router.register(each)
        present[each.id] = place
    for tokens, requires, node, gone in asked:
        request = CompletionRequest(node, requires, input_tokens=tokens)
        fitting = [
            each.id
            for each in known
            if each.id in present
            and each.lacks(request) is None
            and (node == TEXT or node.endswith(each.capabilities[0]))
        ]
        order = sorted(fitting, key=lambda each: present[each])
        try:
            assert rig.router.select(request).model.id == order[0]
        except NoAvailableModelError:
            assert order == []
        # One model leaves the router or comes again: windows appear and vanish with it.
        each = known[gone % len(known)]
        if each.id in present:
            rig.router.unregister(each.id)
            del present[each.id]
        else:
            rig.router.register(each)
            present[each.id] = max(present.values(), default=0) + 1


def test_request_for_a_vector_space_is_served_by_models_of_that_space_only() -> None:
    rig = Rig("a/e5", "b/bge-m3", "c/BAAI/bge-m3", model("d/bge-m3", CODE))
    request = CompletionRequest(CHAT, vector_space="bge-m3")
    assert rig.router.select(request).model.id == "b/bge-m3"
    assert rig.router.select(request, ["b/bge-m3"]).model.id == "c/BAAI/bge-m3"
    with pytest.raises(NoAvailableModelError, match=r"a/e5: embeds into 'e5', not 'bge-m3'"):
        rig.router.select(request, ["b/bge-m3", "c/BAAI/bge-m3"])
    assert rig.serve() == "a/e5"


def test_model_that_is_registered_again_with_another_space_serves_that_one() -> None:
    rig = Rig("a/e5")
    request = CompletionRequest(CHAT, vector_space="e5")
    assert rig.router.select(request).model.id == "a/e5"
    rig.router.unregister("a/e5")
    rig.router.register(Model("a/e5", (CHAT,), vector_space="mine"))
    with pytest.raises(NoAvailableModelError, match="embeds into 'mine', not 'e5'"):
        rig.router.select(request)


def test_trial_is_no_reason_to_leave_a_vector_space() -> None:
    rig = Rig("a/e5", "b/bge-m3")
    rig.router.deactivate("a/e5", "rate_limited")
    rig.clock.advance(60.0)
    request = CompletionRequest(CHAT, vector_space="bge-m3")
    assert rig.router.select(request).model.id == "b/bge-m3"
    assert rig.select().probe


def test_new_context_window_leaves_the_orders_of_others_as_they_are() -> None:
    rig = Rig(model("a/1", window=8000), model("b/2", window=8000))
    request = CompletionRequest(CHAT, input_tokens=5000)
    assert rig.router.select(request).model.id == "a/1"
    rig.router.deactivate("a/1")
    assert rig.router.select(request).model.id == "b/2"
    rig.router.recover("a/1")
    rig.router.register(model("c/3", window=16_000))
    assert rig.router.select(request).model.id == "b/2"


def test_kinds_of_request_are_remembered_up_to_a_limit() -> None:
    made: list[RoundRobin] = []

    def make(rng: Random) -> RoundRobin:
        made.append(RoundRobin(rng))
        return made[-1]

    lanes = Lanes(make, Random(1))
    lanes.join(member("a/x"))
    lanes.admit(member("a/x"))
    for number in range(200):
        lanes.lane(f"node-{number}", CompletionRequest(CHAT))
    first, again = (lanes.lane("node-0", CompletionRequest(CHAT)) for _ in range(2))
    assert first is again
    assert len(made) == 201


@pytest.mark.parametrize("tokens", [0, 1, 999_999])
def test_window_that_is_not_known_fits_every_request(tokens: int) -> None:
    rig = Rig("a/x")
    assert rig.router.select(CompletionRequest(CHAT, input_tokens=tokens)).model.id == "a/x"


def test_trials_of_another_capability_are_in_nobodys_way() -> None:
    rig = Rig("a/chat", *[model(f"b/{number}", CODE) for number in range(20)])
    pool = rig.router.add_pool("text", TEXT)
    for number in range(20):
        rig.router.deactivate(f"b/{number}", "rate_limited")
    rig.clock.advance(10.0)
    now = rig.clock.now()
    assert [each.model.id for each in pool._roster.due(now, CHAT)] == []
    assert len(list(pool._roster.due(now, CODE))) == 20
    assert rig.serve() == "a/chat"
    assert rig.select(CODE).probe
