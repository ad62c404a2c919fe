"""Experience decides: better, faster and cheaper models serve more, and nobody is forgotten."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.engine.adaptive import Adaptive
from capability_router.engine.member import Member
from capability_router.engine.model import Price
from capability_router.engine.outcome import Failure, FailureKind, Outcome, Usage
from capability_router.engine.request import CompletionRequest
from capability_router.engine.rotation import RotationPolicy
from tests.engine.building import CHAT, CODE, TEXT, Rig, member, model

REQUEST = CompletionRequest(CHAT)
ANSWER = Outcome.success(Usage(1000, 1000))
BROKEN = Outcome.failed(FailureKind.SERVER_ERROR)
SEEDS = range(5)


class World:
    """Models that answer with fixed odds, latencies and prices, and a strategy that learns them.

    Args:
        odds: How often each model answers, 0 to 1, by its id.
        seed: Seed of the strategy and of the models.
        latencies: Seconds that each answer takes; 1 where nothing is said.
        prices: US dollars per million tokens; 1 where nothing is said, None for not known.
        node: Where they are asked.
        members: Those of another world, to go on with; None for new ones.
        strategy: The strategy; None for one with its defaults.
    """

    def __init__(
        self,
        odds: Mapping[str, float],
        seed: int = 1,
        *,
        latencies: Mapping[str, float] | None = None,
        prices: Mapping[str, float | None] | None = None,
        node: str = CHAT,
        members: Mapping[str, Member] | None = None,
        strategy: Adaptive | None = None,
    ) -> None:
        self.odds = dict(odds)
        self.latencies = latencies or {}
        self.node = node
        self.strategy = strategy or Adaptive(Random(seed))
        self.members = members or {name: member(name) for name in odds}
        self._rng = Random(seed + 100)
        for name, each in self.members.items():
            price = (prices or {}).get(name, 1.0)
            each.model = replace(each.model, price=None if price is None else Price(price, price))
            self.strategy.admit(each)

    def serve(self, requests: int) -> list[str]:
        """Let some requests be served; return who served each."""
        return [self._serve() for _ in range(requests)]

    def _serve(self) -> str:
        name = picked(self.strategy)
        assert name is not None
        outcome = ANSWER if self._rng.random() < self.odds[name] else BROKEN
        latency_s = self.latencies.get(name, 1.0)
        self.strategy.learn(self.members[name], self.node, outcome, latency_s)
        return name


def picked(strategy: Adaptive, tried: Collection[str] = ()) -> str | None:
    found = strategy.choose(REQUEST, tried, 0.0)
    if found is None:
        return None
    strategy.chosen(found, tried, 0.0)
    return found.model.id


def share(served: list[str], name: str) -> float:
    return served.count(name) / len(served)


@pytest.mark.parametrize("seed", SEEDS)
def test_model_that_succeeds_more_often_soon_serves_most(seed: int) -> None:
    world = World({"a/60": 0.6, "b/90": 0.9}, seed)
    world.serve(200)
    assert share(world.serve(300), "b/90") > 0.85


@pytest.mark.parametrize("seed", SEEDS)
def test_far_fewer_requests_fail_than_if_all_served_alike(seed: int) -> None:
    rng = Random(seed)
    odds = {f"a/{number}": rng.uniform(0.4, 0.9) for number in range(10)}
    served = World(odds, seed).serve(3000)
    best = max(odds.values())
    regret = sum(best - odds[name] for name in served)
    assert regret < 0.4 * sum(best - each for each in odds.values()) / len(odds) * len(served)


@pytest.mark.parametrize("seed", SEEDS)
def test_model_that_begins_to_fail_is_left_within_a_hundred_requests(seed: int) -> None:
    world = World({"a/1": 0.95, "b/2": 0.8}, seed)
    world.serve(500)
    world.odds["a/1"] = 0.2
    world.serve(100)
    assert share(world.serve(200), "b/2") > 0.8


@pytest.mark.parametrize("seed", SEEDS)
def test_model_that_has_become_the_best_is_found_again(seed: int) -> None:
    world = World({"a/1": 0.8, "b/2": 0.0}, seed)
    world.serve(500)
    world.odds["b/2"] = 1.0
    world.serve(1500)
    assert share(world.serve(300), "b/2") > 0.8


@pytest.mark.parametrize("seed", SEEDS)
def test_faster_of_two_equally_good_models_serves_most(seed: int) -> None:
    latencies = {"slow": 3.0, "fast": 1.0}
    world = World({"slow": 0.95, "fast": 0.95}, seed, latencies=latencies)
    world.serve(200)
    assert share(world.serve(300), "fast") > 0.8


@pytest.mark.parametrize("dear", [5.0, None])
@pytest.mark.parametrize("seed", SEEDS)
def test_cheaper_of_two_equally_good_models_serves_most(seed: int, dear: float | None) -> None:
    world = World({"dear": 0.95, "cheap": 0.95}, seed, prices={"dear": dear, "cheap": 1.0})
    world.serve(200)
    assert share(world.serve(300), "cheap") > 0.7


@pytest.mark.parametrize("seed", SEEDS)
def test_prices_are_told_apart_though_a_free_model_served_most(seed: int) -> None:
    prices = {"free": 0.0, "cheap": 1.0, "dear": 3.0}
    strategy = Adaptive(Random(seed), cost_weight=1, memory=1000)
    world = World(dict.fromkeys(prices, 0.99), seed, prices=prices, strategy=strategy)
    world.serve(500)
    strategy.withdraw(world.members["free"])
    assert share(world.serve(40), "cheap") > 0.8


def test_weights_of_nothing_leave_success_alone() -> None:
    strategy = Adaptive(Random(1), latency_weight=0, cost_weight=0)
    latencies, prices = {"slow": 600.0, "fast": 0.1}, {"slow": 600.0, "fast": 0.1}
    odds = {"slow": 0.95, "fast": 0.7}
    world = World(odds, latencies=latencies, prices=prices, strategy=strategy)
    world.serve(200)
    assert share(world.serve(300), "slow") > 0.8


def test_one_very_slow_model_does_not_make_the_others_look_alike() -> None:
    latencies = {"slow": 3.0, "fast": 1.0, "stuck": 600.0}
    world = World(dict.fromkeys(latencies, 0.95), latencies=latencies)
    world.serve(300)
    assert share(world.serve(300), "fast") > 0.75


def test_model_that_failed_at_a_sibling_node_starts_lower_at_this_one() -> None:
    firsts: list[str] = []
    for seed in range(200):
        members = {name: member(name) for name in ("good", "bad")}
        coding = World({"good": 1.0, "bad": 0.0}, seed, node=CODE, members=members)
        coding.serve(30)
        # Nothing happened at this node: all that is known of it comes down the tree.
        chat = World({"good": 1.0, "bad": 1.0}, seed, node=CHAT, members=members)
        firsts.append(chat.serve(1)[0])
    assert share(firsts, "good") > 0.9


def test_what_came_down_the_tree_is_soon_outweighed() -> None:
    members = {name: member(name) for name in ("a/1", "b/2")}
    World({"a/1": 1.0, "b/2": 0.0}, node=CODE, members=members).serve(100)
    chat = World({"a/1": 0.2, "b/2": 1.0}, node=CHAT, members=members)
    chat.serve(200)
    assert share(chat.serve(200), "b/2") > 0.8


def test_strategy_goes_by_its_own_node_from_the_first_outcome_on() -> None:
    members = {name: member(name) for name in ("chats", "codes")}
    for _ in range(100):
        for node, serves in ((CHAT, "chats"), (CODE, "codes")):
            for name, each in members.items():
                outcome = ANSWER if name == serves else BROKEN
                Adaptive(Random(1)).learn(each, node, outcome, 1.0)
    # Above both nodes the two look alike.
    for node, serves in ((CHAT, "chats"), (CODE, "codes")):
        world = World({"chats": 0.5, "codes": 0.5}, node=node, members=members)
        world.serve(1)
        assert share(world.serve(20), serves) == 1.0


def test_outcomes_count_at_every_node_above() -> None:
    world = World({"a/1": 1.0})
    world.serve(5)
    known = world.members["a/1"].state.experience
    assert known is not None
    assert {node: round(each.succeeded) for node, each in known.items()} == {
        CHAT: 5,
        TEXT: 5,
        TEXT.partition(".")[0]: 5,
    }


def test_node_inherits_a_few_observations_of_the_node_above() -> None:
    members = {"a/1": member("a/1")}
    World({"a/1": 1.0}, node=CODE, members=members, latencies={"a/1": 7.0}).serve(50)
    World({"a/1": 0.0}, node=CHAT, members=members).serve(1)
    known = members["a/1"].state.experience
    assert known is not None
    assert known[CHAT].succeeded == pytest.approx(4 * 0.99)
    assert known[CHAT].failed == 1
    assert known[CHAT].latency_s == 7.0


def test_outcomes_of_a_model_serve_every_kind_of_request_and_pool() -> None:
    members = {name: member(name) for name in ("good", "bad")}
    World({"good": 1.0, "bad": 0.0}, members=members).serve(100)
    firsts = [World({"good": 1, "bad": 1}, seed, members=members).serve(1)[0] for seed in SEEDS]
    assert firsts == ["good"] * 5


@pytest.mark.parametrize("kind", [FailureKind.INVALID_REQUEST, FailureKind.CANCELLED])
def test_failure_that_is_not_the_models_fault_says_nothing(kind: FailureKind) -> None:
    world = World({"a/1": 1.0})
    world.strategy.learn(world.members["a/1"], CHAT, Outcome(Failure(kind)), 1.0)
    assert world.members["a/1"].state.experience is None


def test_tried_models_do_not_serve() -> None:
    world = World({"a/1": 0.5, "b/2": 0.5, "c/3": 0.5})
    for _ in range(50):
        tried: set[str] = set()
        while (name := picked(world.strategy, tried)) is not None:
            assert name not in tried
            tried.add(name)
        assert tried == set(world.odds)


def test_choosing_alone_changes_nothing() -> None:
    strategy = World({f"a/{number}": 0.5 for number in range(20)}).strategy
    first = strategy.choose(REQUEST, (), 0.0)
    second = strategy.choose(REQUEST, {first.model.id} if first else (), 0.0)
    assert first is not second
    assert [strategy.choose(REQUEST, (), 0.0) for _ in range(3)] == [first] * 3


def test_withdrawn_model_serves_nobody_and_is_known_when_it_returns() -> None:
    world = World({"a/1": 1.0, "b/2": 0.0})
    world.serve(100)
    for name in ("a/1", "b/2"):
        world.strategy.withdraw(world.members[name])
    assert picked(world.strategy) is None
    world.strategy.admit(world.members["b/2"])
    assert set(world.serve(20)) == {"b/2"}
    # An answer that comes when its model has left is learnt with the model, and does no harm.
    world.strategy.learn(world.members["a/1"], CHAT, ANSWER, 1.0)
    world.strategy.admit(world.members["a/1"])
    assert share(world.serve(100), "a/1") > 0.9


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abcdef")), max_size=40))
def test_who_serves_is_among_those_present_whatever_comes_and_goes(
    steps: list[tuple[int, str]],
) -> None:
    strategy, present = Adaptive(Random(1)), dict[str, Member]()
    for requests, name in steps:
        if name in present:
            strategy.withdraw(present.pop(name))
        else:
            strategy.admit(present.setdefault(name, member(name)))
        for _ in range(requests):
            assert (picked(strategy) in present) == bool(present)
        tried: set[str] = set()
        while (found := strategy.choose(REQUEST, tried, 0.0)) is not None:
            tried.add(found.model.id)
        assert tried == present.keys()


def test_scores_that_are_out_of_date_do_not_pile_up() -> None:
    world = World({"a/1": 0.9, "b/2": 0.1, "c/3": 0.1})
    world.serve(5000)
    assert len(world.strategy._scores) < 100


def test_same_seed_makes_the_same_choices() -> None:
    odds = {f"a/{number}": number / 10 for number in range(10)}
    assert World(odds, 3).serve(500) == World(odds, 3).serve(500)
    assert World(odds, 3).serve(500) != World(odds, 4).serve(500)


class Drawing(Random):
    """A source of chance that counts how often it is asked."""

    draws = 0

    def random(self) -> float:
        self.draws += 1
        return super().random()


def test_two_scores_are_drawn_for_a_request_however_many_members_there_are() -> None:
    for members in (10, 1000):
        rng = Drawing(1)
        strategy = Adaptive(rng)
        for number in range(members):
            strategy.admit(member(f"a/{number}"))
        assert rng.draws == 0
        picked(strategy)
        rng.draws = 0
        for _ in range(200):
            picked(strategy)
        assert 200 * 3 < rng.draws <= 200 * 6


def test_every_member_is_drawn_anew_in_turn_so_that_none_stays_unlucky() -> None:
    strategy = World({f"a/{number}": 0.5 for number in range(50)}).strategy
    assert len({picked(strategy) for _ in range(1500)}) == 50


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"latency_weight": -0.1}, "latency_weight -0.1"),
        ({"cost_weight": float("nan")}, "cost_weight nan"),
        ({"memory": 1}, "memory 1 must be at least 2"),
    ],
)
def test_setting_out_of_range_is_refused(settings: dict[str, float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Adaptive(Random(1), **settings)  # type: ignore[arg-type] # one dictionary for all of them


def test_router_learns_who_is_fast_from_the_age_of_its_leases() -> None:
    rig = Rig("a/slow", "b/fast", policy=RotationPolicy(selection=Adaptive))
    served: list[str] = []
    for _ in range(400):
        lease = rig.select()
        rig.clock.advance(4.0 if lease.model.id == "a/slow" else 1.0)
        rig.router.report(lease, ANSWER)
        served.append(lease.model.id)
    assert share(served[200:], "b/fast") > 0.8


def test_model_that_no_pool_sends_away_is_avoided_for_failing_every_other_time() -> None:
    rig = Rig(policy=RotationPolicy(selection=Adaptive))
    for name in ("a/half", "b/whole"):
        rig.router.register(model(name))
    served: list[str] = []
    for number in range(300):
        lease = rig.select()
        failed = lease.model.id == "a/half" and number % 2
        rig.router.report(lease, BROKEN if failed else ANSWER)
        served.append(lease.model.id)
    assert share(served[100:], "b/whole") > 0.8
