"""How many attempts may be in flight: the rule by itself, without a router."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.engine.concurrency import AdaptiveConcurrency, Slots, slots_for
from capability_router.engine.outcome import FailureKind, Outcome, Usage

WHOLE = Outcome.success(Usage(10, 100))
OVERLOAD = (FailureKind.RATE_LIMITED, FailureKind.OVERLOADED, FailureKind.TIMEOUT)


def streamed(first_token_s: float) -> Outcome:
    return Outcome(usage=Usage(10, 100), first_token_s=first_token_s)


def fed(slots: Slots, first_token_s: float, answers: int) -> int:
    """Let answers come in while all that may be is in flight; return the limit then."""
    for _ in range(answers):
        slots.answered(streamed(first_token_s), 9.0, slots.limit)
    return slots.limit


def test_limit_begins_as_told() -> None:
    assert Slots(3).limit == 3
    assert Slots(AdaptiveConcurrency(initial=5)).limit == 5


def test_fixed_limit_learns_nothing() -> None:
    slots = Slots(4)
    fed(slots, 0.1, 100)
    fed(slots, 9.0, 100)
    slots.failed(FailureKind.OVERLOADED)
    assert slots.limit == 4


def test_limit_grows_by_a_fifth_of_its_square_root_while_answers_take_as_long_as_ever() -> None:
    slots = Slots(AdaptiveConcurrency(initial=100))
    assert fed(slots, 0.4, 1) == 102
    assert fed(slots, 0.4, 1) == 104


def test_limit_that_is_not_used_by_more_than_half_stays() -> None:
    slots = Slots(AdaptiveConcurrency(initial=10))
    for _ in range(50):
        slots.answered(streamed(0.4), 9.0, 5)
    assert slots.limit == 10
    slots.answered(streamed(0.4), 9.0, 6)
    assert slots.limit == 10
    for _ in range(5):
        slots.answered(streamed(0.4), 9.0, 8)
    assert slots.limit > 10


def test_limit_shrinks_while_answers_take_longer_than_is_tolerated() -> None:
    slots = Slots(AdaptiveConcurrency(initial=50, max=50))
    fed(slots, 0.4, 200)
    assert fed(slots, 0.55, 20) == 50
    assert fed(slots, 1.6, 20) < 25


def test_no_latency_takes_more_than_a_tenth_of_the_limit_at_once() -> None:
    slots = Slots(AdaptiveConcurrency(initial=100, max=100))
    fed(slots, 0.1, 300)
    before = slots.limit
    for _ in range(10):
        after = fed(slots, 1000.0, 1)
        assert 0.9 * before - 1 <= after
        before = after


def test_latency_that_has_come_down_far_brings_the_long_one_down_within_tens_of_answers() -> None:
    slots = Slots(AdaptiveConcurrency(initial=20))
    fed(slots, 8.0, 300)
    fed(slots, 0.4, 60)
    # As soon as that: what was normal an overload ago would be taken for good.
    before = slots.limit
    assert fed(slots, 2.0, 10) < before


@pytest.mark.parametrize("kind", OVERLOAD)
def test_overload_takes_a_tenth_and_at_least_one(kind: FailureKind) -> None:
    slots = Slots(AdaptiveConcurrency(initial=100, min=1))
    slots.failed(kind)
    assert slots.limit == 90
    small = Slots(AdaptiveConcurrency(initial=3))
    small.failed(kind)
    assert small.limit == 2
    for _ in range(5):
        small.failed(kind)
    assert small.limit == 1


@pytest.mark.parametrize("kind", sorted(set(FailureKind) - set(OVERLOAD)))
def test_other_failures_say_nothing_of_load(kind: FailureKind) -> None:
    slots = Slots(AdaptiveConcurrency(initial=100))
    slots.failed(kind)
    assert slots.limit == 100


def test_long_answers_are_no_sign_of_waiting() -> None:
    slots = Slots(AdaptiveConcurrency(initial=20, max=20))
    for _ in range(50):
        slots.answered(Outcome.success(Usage(10, 60)), 92 * 0.02, 20)
    for _ in range(20):
        slots.answered(Outcome.success(Usage(10, 2000)), 2032 * 0.02, 20)
    assert slots.limit == 20


def test_whole_answers_that_take_longer_for_their_length_are_a_sign_of_waiting() -> None:
    slots = Slots(AdaptiveConcurrency(initial=20, max=20))
    for _ in range(50):
        slots.answered(WHOLE, 2.0, 20)
    for _ in range(20):
        slots.answered(WHOLE, 8.0, 20)
    assert slots.limit < 15


def test_streams_and_whole_answers_are_not_compared_with_each_other() -> None:
    slots = Slots(AdaptiveConcurrency(initial=20, max=20))
    for _ in range(100):
        slots.answered(streamed(0.2), 20.0, 20)
        slots.answered(Outcome.success(), 60.0, 20)
    assert slots.limit == 20


@given(
    bounds=st.tuples(st.integers(1, 50), st.integers(1, 50), st.integers(1, 50)).map(sorted),
    steps=st.lists(
        st.tuples(
            st.sampled_from([None, *OVERLOAD]), st.floats(0, 1e6), st.booleans(), st.integers(1, 60)
        ),
        max_size=60,
    ),
)
def test_limit_stays_within_its_bounds_whatever_comes(
    bounds: list[int], steps: list[tuple[FailureKind | None, float, bool, int]]
) -> None:
    least, initial, most = bounds
    slots = Slots(AdaptiveConcurrency(initial, least, most))
    for kind, seconds, streams, in_flight in steps:
        if kind is None:
            outcome = streamed(seconds) if streams else WHOLE
            slots.answered(outcome, seconds, in_flight)
        else:
            slots.failed(kind)
        assert least <= slots.limit <= most


@pytest.mark.parametrize("capacity", [4, 12, 60])
def test_limit_finds_what_a_provider_bears(capacity: int) -> None:
    slots = Slots(AdaptiveConcurrency(initial=4))
    found: list[int] = []
    for answer in range(1500):
        # Traffic comes in waves, and what is beyond the capacity waits for a place.
        in_flight = slots.limit if answer % 100 < 60 else max(1, capacity // 2)
        waiting = max(1.0, in_flight / capacity) ** 2
        slots.answered(streamed(0.3 * waiting), 5.0, in_flight)
        found.append(slots.limit)
    settled = sorted(found[500:])
    assert capacity <= settled[len(settled) // 2] <= 2.5 * capacity


def test_other_bounds_keep_what_was_learnt() -> None:
    slots = Slots(AdaptiveConcurrency(initial=8))
    fed(slots, 0.4, 20)
    learnt = slots.limit
    assert slots_for(AdaptiveConcurrency(max=150), slots) is slots
    assert slots.limit == learnt
    slots.change(AdaptiveConcurrency(initial=5, max=5))
    assert slots.limit == 5
    slots.change(3)
    assert slots.limit == 3
    slots.change(AdaptiveConcurrency(initial=20, min=10))
    assert slots.limit == 10


def test_no_limit_needs_no_slots() -> None:
    assert slots_for(None, Slots(3)) is None


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"min": 0}, ValueError, "min 0"),
        ({"initial": 3, "min": 4}, ValueError, "initial 3"),
        ({"initial": 9, "max": 8}, ValueError, "max 8"),
        ({"initial": 2.5}, TypeError, "initial 2.5"),
        ({"min": True}, TypeError, "min True"),
        ({"tolerance": 0.9}, ValueError, "tolerance 0.9"),
        ({"tolerance": float("nan")}, ValueError, "tolerance nan"),
        ({"tolerance": float("inf")}, ValueError, "tolerance inf"),
    ],
)
def test_bounds_out_of_range_are_refused(
    fields: dict[str, float], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        AdaptiveConcurrency(**fields)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - what is refused
