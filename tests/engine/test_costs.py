"""The cheapest for the request at hand, checked against looking at every model."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.engine import costs
from capability_router.engine.costs import CostFirst, Point, PriceLayers
from capability_router.engine.member import Member, Rank
from capability_router.engine.model import Price
from capability_router.engine.outcome import Failure, FailureKind, Outcome, Usage
from capability_router.engine.request import CompletionRequest
from capability_router.engine.rotation import RotationPolicy
from tests.engine.building import CHAT, Rig, member, model

Prices = tuple[float, float] | None

# Few enough that prices, lines through them and costs coincide all the time.
GRID = st.tuples(st.integers(0, 4), st.integers(0, 4))
ANY = st.tuples(st.floats(0, 100), st.floats(0, 100))
AMOUNTS = st.tuples(st.integers(0, 5), st.integers(0, 5))
NAMES = [f"a/{number}" for number in range(30)]


def priced(model_id: str, prices: Prices, rank: Rank = (0, 0, 0)) -> Member:
    each = member(model_id, rank)
    each.model = replace(each.model, price=None if prices is None else Price(*prices))
    return each


def cost_first(**prices: Prices) -> CostFirst:
    """Return the strategy with a model ``a/<name>`` for each price, ranked in this order."""
    strategy = CostFirst(Random(1))
    for place, (name, each) in enumerate(prices.items()):
        strategy.admit(priced(f"a/{name}", each, (0, 0, place)))
    return strategy


def served(
    strategy: CostFirst, tokens: tuple[int, int] = (0, 0), tried: Collection[str] = ()
) -> str | None:
    request = CompletionRequest(CHAT, input_tokens=tokens[0], output_tokens=tokens[1])
    found = strategy.choose(request, tried, 0.0)
    return None if found is None else found.model.id


def answer(strategy: CostFirst, outcome: Outcome) -> None:
    strategy.learn(member("a/x"), CHAT, outcome, 1.0)


def order(prices: Prices, tokens: tuple[int, int]) -> tuple[object, ...]:
    """The place of a price in the order that is promised."""
    if prices is None:
        return (1,)
    whole = [round(price * 1_000_000_000) for price in prices]
    return 0, whole[0] * tokens[0] + whole[1] * tokens[1], whole


def test_cheapest_model_depends_on_the_lengths_of_prompt_and_answer() -> None:
    strategy = cost_first(reader=(1, 10), writer=(2, 4))
    assert served(strategy, (10_000, 100)) == "a/reader"
    assert served(strategy, (100, 10_000)) == "a/writer"


def test_free_model_comes_first_and_one_without_a_price_last() -> None:
    strategy = cost_first(unknown=None, other=None, dear=(5, 5), free=(0, 0))
    assert served(strategy, (10, 10)) == "a/free"
    assert served(strategy, (10, 10), {"a/free"}) == "a/dear"
    assert served(strategy, (10, 10), {"a/free", "a/dear"}) == "a/unknown"
    assert served(strategy, (10, 10), {"a/free", "a/dear", "a/unknown"}) == "a/other"
    assert served(strategy, (10, 10), {"a/free", "a/dear", "a/unknown", "a/other"}) is None


def test_models_of_one_price_serve_by_rank() -> None:
    strategy = CostFirst(Random(1))
    for model_id, rank in (("a/later", 2), ("a/sooner", 1), ("b/last", 3)):
        strategy.admit(priced(model_id, (1, 2), (rank, 0, 0)))
    tried: set[str] = set()
    for expected in ("a/sooner", "a/later", "b/last"):
        assert served(strategy, (10, 10), tried) == expected
        tried.add(expected)


@pytest.mark.parametrize(("output", "expected"), [(5, "a/even"), (4.9, "a/steep")])
def test_request_of_unknown_length_weighs_three_to_one(output: float, expected: str) -> None:
    # Three of input and one of output cost 8 on both where the steep one asks 5 for its output.
    assert served(cost_first(even=(2, 2), steep=(1, output + 0.001))) == expected


def test_answer_of_unknown_length_is_taken_to_be_as_long_as_answers_were() -> None:
    strategy = cost_first(reader=(1, 10), writer=(2, 4))
    assert served(strategy, (600, 0)) == "a/writer"
    for length in (50, 80, 90):
        answer(strategy, Outcome.success(Usage(600, length)))
        assert served(strategy, (600, 0)) == "a/reader"
    answer(strategy, Outcome.success(Usage(600, 250)))
    assert served(strategy, (600, 0)) == "a/writer"


def test_failures_and_answers_without_usage_say_nothing_about_lengths() -> None:
    strategy = cost_first(reader=(1, 10), writer=(2, 4))
    answer(strategy, Outcome.success(Usage(600, 50)))
    for _ in range(9):
        answer(strategy, Outcome(Failure(FailureKind.PROTOCOL), Usage(600, 9000)))
        answer(strategy, Outcome.success())
    assert served(strategy, (600, 0)) == "a/reader"
    answer(strategy, Outcome.success(Usage(600, 200)))
    assert served(strategy, (600, 0)) == "a/writer"


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(NAMES),
            st.one_of(st.none(), GRID, GRID, ANY),
            st.integers(0, 2),
            AMOUNTS,
            st.sets(st.sampled_from(NAMES), max_size=4),
        ),
        max_size=60,
    )
)
def test_choice_agrees_with_looking_at_every_price(
    steps: list[tuple[str, Prices, int, tuple[int, int], set[str]]],
) -> None:
    strategy = CostFirst(Random(1))
    present: dict[str, tuple[Prices, Rank]] = {}
    for name, prices, rank, tokens, tried in steps:
        if name in present:
            old, old_rank = present.pop(name)
            strategy.withdraw(priced(name, old, old_rank))
        else:
            present[name] = prices, (rank, 0, 0)
            strategy.admit(priced(name, *present[name]))
        assert served(strategy, tokens, tried) == cheapest(present, tokens, tried)


@given(
    prices=st.lists(GRID, min_size=20, max_size=30),
    tokens=AMOUNTS,
    tried=st.sets(st.sampled_from(NAMES), min_size=12),
)
def test_choice_agrees_where_many_models_are_tried(
    prices: list[tuple[int, int]], tokens: tuple[int, int], tried: set[str]
) -> None:
    strategy, present = CostFirst(Random(1)), dict[str, tuple[Prices, Rank]]()
    for name, each in zip(NAMES, prices, strict=False):
        present[name] = each, (0, 0, 0)
        strategy.admit(priced(name, each))
    assert served(strategy, tokens, tried) == cheapest(present, tokens, tried)


@pytest.mark.parametrize("size", [250, 257, 400])
def test_choice_agrees_while_the_cheapest_of_hundreds_come_and_go(size: int) -> None:
    rng = Random(size)
    known: dict[str, tuple[Prices, Rank]] = {
        f"a/{place}": ((rng.randint(0, 60), rng.randint(0, 60)), (0, 0, place))
        for place in range(size)
    }
    strategy, present = CostFirst(Random(1)), dict(known)
    for name, each in known.items():
        strategy.admit(priced(name, *each))
    gone: list[str] = []
    for step in range(150):
        tokens = rng.choice([(1, 1), (9, 1), (1, 9), (700, 300)])
        found = served(strategy, tokens)
        assert found == cheapest(present, tokens, set())
        assert served(strategy, tokens, {str(found)}) == cheapest(present, tokens, {str(found)})
        if found is not None and (step < 60 or rng.random() < 0.5):
            gone.append(found)
            strategy.withdraw(priced(found, *present.pop(found)))
        else:
            back = gone.pop(rng.randrange(len(gone)))
            present[back] = known[back]
            strategy.admit(priced(back, *known[back]))


def test_cheapest_of_many_that_comes_and_goes_lets_no_layer_be_found_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    strategy = CostFirst(Random(1))
    for place in range(300):
        strategy.admit(priced(f"a/{place}", (place, place)))
    found: list[object] = []
    plain = costs._lower_left

    def noted(points: Iterable[Point]) -> list[Point]:
        found.append(points)
        return plain(points)

    monkeypatch.setattr(costs, "_lower_left", noted)
    for _ in range(100):
        strategy.withdraw(priced("a/0", (0, 0)))
        assert served(strategy) == "a/1"
        strategy.admit(priced("a/0", (0, 0)))
        assert served(strategy) == "a/0"
    assert len(found) <= 2


def cheapest(
    present: Mapping[str, tuple[Prices, Rank]], tokens: tuple[int, int], tried: set[str]
) -> str | None:
    # Without an answer so far, what is not said is weighed three to one.
    known = tokens if tokens[1] else (3, 1)
    left = [name for name in present if name not in tried]
    return min(
        left,
        key=lambda name: (order(present[name][0], known), present[name][1], name),
        default=None,
    )


class Counted(int):
    """A number of tokens that counts how often it is multiplied with a price."""

    products = 0

    def __rmul__(self, other: int) -> int:
        Counted.products += 1
        return int(self) * other


def test_few_of_ten_thousand_prices_are_looked_at() -> None:
    strategy, rng = CostFirst(Random(1)), Random(2)
    for place in range(10_000):
        prices = rng.uniform(0, 10), rng.uniform(0, 30)
        strategy.admit(priced(f"a/{place}", prices, (0, 0, place)))
    request = CompletionRequest(CHAT, input_tokens=Counted(700), output_tokens=Counted(300))
    first = strategy.choose(request, (), 0.0)
    assert first is not None
    Counted.products = 0
    assert strategy.choose(request, (), 0.0) is first
    assert 0 < Counted.products <= 20
    Counted.products = 0
    assert strategy.choose(request, {first.model.id}, 0.0) is not first
    assert 0 < Counted.products <= 60


def test_price_above_the_hull_leaves_it_as_it_is() -> None:
    layers = PriceLayers()
    for point in ((1, 9), (4, 3), (9, 1)):
        layers.add(point)
    outer = layers.at(0)
    assert outer == [(1, 9), (4, 3), (9, 1)]
    on_the_line = (2, 7)
    for above in ((9, 9), (1, 10), (10, 1), on_the_line, (5, 4)):
        layers.add(above)
        assert layers.at(0) is outer
    assert layers.at(1) == [(1, 10), on_the_line, (5, 4), (10, 1)]
    layers.drop((5, 4))
    assert layers.at(0) is outer
    layers.add((2, 2))
    assert layers.at(0) == [(1, 9), (2, 2), (9, 1)]


def test_choice_agrees_for_every_set_of_prices_on_a_small_grid() -> None:
    points = [(price, other) for price in range(3) for other in range(3)]
    for chosen in range(1, 1 << len(points)):
        prices = [point for place, point in enumerate(points) if chosen >> place & 1]
        strategy = cost_first(**{f"{number}": each for number, each in enumerate(prices)})
        present: dict[str, tuple[Prices, Rank]] = {
            f"a/{number}": (each, (0, 0, number)) for number, each in enumerate(prices)
        }
        for tokens in ((1, 1), (2, 1), (1, 2), (0, 1)):
            assert served(strategy, tokens) == cheapest(present, tokens, set())


def test_tried_models_are_passed_over_from_the_cheapest_up() -> None:
    strategy = cost_first(**{f"m{number}": (number, number) for number in range(8)})
    tried: list[str] = []
    for _ in range(8):
        found = served(strategy, (1, 1), tried)
        assert found is not None
        tried.append(found)
    assert tried == [f"a/m{number}" for number in range(8)]


def test_router_learns_the_length_of_answers_and_goes_to_whoever_is_cheap_then() -> None:
    rig = Rig(policy=RotationPolicy(selection=CostFirst))
    for name, price in (("a/reader", Price(1, 10)), ("a/writer", Price(2, 4))):
        rig.router.register(replace(model(name), price=price))
    request = CompletionRequest("chat-completion", input_tokens=600)
    lease = rig.router.select(request)
    assert lease.model.id == "a/writer"
    rig.router.report(lease, Outcome.success(Usage(600, 50)))
    assert rig.router.select(request).model.id == "a/reader"
    assert rig.router.select(request, ["a/reader"]).model.id == "a/writer"
