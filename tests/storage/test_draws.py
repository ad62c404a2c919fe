"""The arithmetic of a limit that processes share, on one record at a time."""

import json
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.storage.draws import (
    Hold,
    Record,
    drawn,
    forgotten_at,
    record_of,
    written,
)
from capability_router.storage.store import Draw, Share

NEVER = Draw("m", 10)
DAY = 86_400


def on(record: Record, draw: Draw, process: str = "a", now: float = 1000.0) -> Share:
    return drawn(record, draw, process, now, 30.0).share


def used(*amounts: int, holds: dict[str, int] | None = None) -> Record:
    reserved = {name: Hold(amount, 1000.0, 30.0) for name, amount in (holds or {}).items()}
    return Record(dict(enumerate(amounts)), reserved)


def test_who_comes_first_holds_what_it_wants_and_the_next_what_is_left() -> None:
    first = drawn(Record(), Draw("m", 10, want=7), "a", 1000.0, 30.0)
    assert first.share == Share(used=0, reserved=0, held=7, holders=1, frees_at=inf)
    second = drawn(first.record, Draw("m", 10, want=7), "b", 1000.0, 30.0)
    assert second.share == Share(used=0, reserved=7, held=3, holders=2, frees_at=inf)
    third = on(second.record, Draw("m", 10, want=7), "c")
    assert third == Share(used=0, reserved=10, held=0, holders=2, frees_at=inf)


def test_what_is_used_lessens_what_is_held() -> None:
    share = on(used(holds={"a": 5}), Draw("m", 10, used={0: 3}, grant=5, want=2))
    assert (share.used, share.held) == (3, 2)


def test_what_is_given_back_is_held_again() -> None:
    share = on(used(4, holds={"a": 5}), Draw("m", 10, used={0: -3}, grant=5, want=9))
    assert (share.used, share.held) == (1, 9)


def test_who_used_more_than_it_held_is_counted_in_full_and_holds_nothing() -> None:
    share = on(used(holds={"a": 2, "b": 8}), Draw("m", 10, used={0: 6}, grant=2, want=2))
    assert share == Share(used=6, reserved=8, held=0, holders=1, frees_at=inf)


def test_a_lowered_capacity_takes_nothing_from_who_holds_it() -> None:
    assert on(used(holds={"a": 8}), Draw("m", 5, grant=8, want=8)).held == 8
    assert on(used(holds={"a": 8}), Draw("m", 5, grant=8, want=9)).held == 8


def test_who_wants_less_gives_the_rest_back() -> None:
    record = drawn(used(holds={"a": 8}), Draw("m", 10, grant=8), "a", 1000.0, 30.0).record
    assert on(record, Draw("m", 10, want=10), "b").held == 10


def test_no_more_can_be_given_back_than_was_used() -> None:
    share = on(used(1), Draw("m", 10, used={0: -5}, want=100))
    assert (share.used, share.held) == (0, 10)


def test_a_hold_that_was_not_heard_of_counts_as_used() -> None:
    draw = Draw("m", 10, width_s=1.0, want=10)
    record = Record(holds={"gone": Hold(6, 1000.0, 30.0)})
    assert on(record, draw, now=1029.9) == Share(0, 6, 4, 2, inf)
    assert on(record, draw, now=1030.0) == Share(6, 0, 4, 1, 1091.0)
    # In the bucket of its end, whenever that is noticed.
    assert on(record, draw, now=1050.0) == Share(6, 0, 4, 1, 1091.0)
    assert on(record, draw, now=1091.0) == Share(0, 0, 10, 1, inf)


def test_in_a_calendar_window_a_hold_that_was_not_heard_of_counts_there() -> None:
    record = Record(holds={"gone": Hold(6, 1000.0, 30.0)})
    draw = Draw("m", 10, window=DAY, want=10)
    assert on(record, draw, now=80_000.0) == Share(6, 0, 4, 1, float(DAY))


def test_who_comes_back_late_is_counted_again_only_beyond_its_grant() -> None:
    gone = Record({0: 0}, {"a": Hold(6, 1000.0, 30.0)})
    late = Draw("m", 10, used={0: 4}, grant=6, want=10)
    assert on(gone, late, now=2000.0) == Share(6, 0, 4, 1, inf)
    more = Draw("m", 10, used={0: 9}, grant=6, want=10)
    assert on(gone, more, now=2000.0) == Share(9, 0, 1, 1, inf)


def test_the_grant_of_who_comes_back_late_counts_once() -> None:
    gone = Record(holds={"a": Hold(6, 1000.0, 30.0)})
    back = drawn(gone, Draw("m", 10, used={0: 4}, grant=6), "a", 2000.0, 30.0).record
    assert on(back, Draw("m", 10, used={0: 2}), now=2001.0).used == 8


def test_what_was_used_of_a_grant_counts_if_the_grant_itself_does_not() -> None:
    # Written off so long ago that it has left the window.
    gone = Record(holds={"a": Hold(6, 1000.0, 30.0)})
    late = Draw("m", 10, width_s=1.0, used={1099: 4}, grant=6, want=10)
    assert on(gone, late, now=1100.0) == Share(4, 0, 6, 1, 1160.0)
    # Or given by a store that has been emptied since.
    assert on(Record(), late, now=1100.0) == Share(4, 0, 6, 1, 1160.0)


def test_the_grant_covers_what_was_used_first() -> None:
    gone = Record(holds={"a": Hold(3, 1000.0, 30.0)})
    late = Draw("m", 10, width_s=1.0, used={1030: 2, 1040: 2}, grant=3)
    record = drawn(gone, late, "a", 1040.0, 30.0).record
    assert record.used == {1030: 3, 1040: 1}


def test_what_was_given_back_late_is_free_again() -> None:
    gone = Record({0: 8}, {"a": Hold(1, 1000.0, 30.0)})
    late = Draw("m", 10, used={0: -5}, grant=1, want=10)
    assert on(gone, late, now=2000.0) == Share(4, 0, 6, 1, inf)


def test_a_bucket_counts_until_all_of_it_has_left_the_window() -> None:
    record = Record({10: 4})
    draw = Draw("m", 10, width_s=2.0, want=10)
    assert on(record, draw, now=141.9) == Share(4, 0, 6, 1, 142.0)
    assert on(record, draw, now=142.0) == Share(0, 0, 10, 1, inf)


def test_what_was_used_in_a_bucket_that_has_left_lessens_the_hold_alone() -> None:
    record = Record(holds={"a": Hold(5, 990.0, 30.0)})
    share = on(record, Draw("m", 10, width_s=1.0, used={900: 3}, grant=5, want=2))
    assert (share.used, share.held) == (0, 2)
    given_back = on(record, Draw("m", 10, width_s=1.0, used={900: -3}, grant=5, want=20))
    assert (given_back.used, given_back.held) == (0, 10)


def test_in_a_window_that_is_over_nothing_is_held() -> None:
    record = used(holds={"a": 5})
    over = drawn(record, Draw("m", 10, window=1000, want=5), "a", 1000.0, 30.0)
    assert (over.share.held, over.full, over.record.holds) == (0, False, {})
    late = drawn(record, Draw("m", 5, window=1000, used={1000: 5}, grant=5), "a", 1000.0, 30.0)
    assert (late.share.used, late.full) == (5, False)
    assert on(record, Draw("m", 10, window=1001, want=5), "b").held == 5


def test_of_a_calendar_window_no_other_counts() -> None:
    draw = Draw("m", 10, window=DAY, used={DAY - 3600: 4, DAY: 2}, want=10)
    assert on(Record(), draw) == Share(2, 0, 8, 1, float(DAY))


def test_a_limit_is_full_once_nothing_is_left() -> None:
    def full(record: Record, draw: Draw) -> bool:
        return drawn(record, draw, "a", 1000.0, 30.0).full

    assert full(used(9), Draw("m", 10, used={0: 1}))
    assert full(used(9), Draw("m", 10, want=1))
    assert not full(used(9), Draw("m", 10))
    assert not full(used(10), Draw("m", 10, used={0: 1}))
    assert not full(used(holds={"a": 10}), Draw("m", 10, used={0: 1}, grant=10, want=9))


def test_a_clock_that_was_set_back_keeps_nothing_for_longer_than_a_window() -> None:
    record = Record({5000: 4}, {"gone": Hold(3, 5000.0, 30.0)})
    draw = Draw("m", 10, width_s=1.0, want=10)
    seen = drawn(record, draw, "a", 1000.0, 30.0)
    assert seen.share == Share(4, 3, 3, 2, 1061.0)
    assert on(seen.record, Draw("m", 10, width_s=1.0), "b", 1030.0) == Share(10, 0, 0, 0, 1061.0)
    # A process that is ahead by a moment says so with the next bucket.
    ahead = drawn(Record(), Draw("m", 10, width_s=1.0, used={1001: 2}), "a", 1000.9, 30.0)
    assert ahead.record.used == {1001: 2}


def test_a_record_is_forgotten_when_nothing_of_it_counts() -> None:
    assert forgotten_at(Record({10: 1}), 2.0, 0) == 142.0
    assert forgotten_at(Record({10: 1}, {"a": Hold(1, 70.0, 30.0)}), 2.0, 0) == 222.0
    assert forgotten_at(Record(), 2.0, 0) == -inf
    assert forgotten_at(Record({DAY: 1}), None, DAY) > DAY
    assert forgotten_at(Record({0: 1}), None, 0) == inf


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "[]",
        "{}",
        '"x"',
        '{"buckets": [1], "used": [], "holds": {}, "written_off": {}}',
        '{"buckets": [1], "used": ["1"], "holds": {}, "written_off": {}}',
        '{"buckets": [1.5], "used": [1], "holds": {}, "written_off": {}}',
        '{"buckets": [[]], "used": [1], "holds": {}, "written_off": {}}',
        '{"buckets": [], "used": [], "holds": {"a": [true, 1, 1]}, "written_off": {}}',
        '{"buckets": [], "used": [], "holds": {"a": [1, "x", 1]}, "written_off": {}}',
        '{"buckets": [], "used": [], "holds": {"a": [1, Infinity, 1]}, "written_off": {}}',
        f'{{"buckets": [], "used": [], "holds": {{"a": [1, {10**400}, 1]}}, "written_off": {{}}}}',
        '{"buckets": [], "used": [], "holds": {"a": [1, 1]}, "written_off": {}}',
        '{"buckets": [], "used": [], "holds": {}, "written_off": {"a": null}}',
        '{"buckets": [], "used": [], "holds": {}, "written_off": []}',
    ],
)
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no record"):
        record_of(json.loads(text))


names = st.sampled_from("abc")
amounts = st.integers(-4, 8)
draws = st.tuples(
    names,
    st.lists(st.tuples(st.integers(-70, 0), amounts), max_size=3),
    st.integers(0, 12),
    st.sampled_from([0.0, 0.5, 1.0, 7.0, 31.0, 70.0]),
)


@given(st.sampled_from([None, 1.0]), st.lists(draws, max_size=30))
def test_what_is_used_and_held_stays_within_the_capacity(
    width_s: float | None, steps: list[tuple[str, list[tuple[int, int]], int, float]]
) -> None:
    record, now = Record(), 1000.0
    held, heard = dict.fromkeys("abc", 0), dict.fromkeys("abc", now)
    for process, changes, want, later in steps:
        now += later
        # After its time nobody uses what was reserved, but he may tell of it later.
        last = int(min(now, heard[process] + 30.0))
        told: dict[int, int] = {}
        for age, amount in changes:
            bucket = last + age if width_s else 0
            told[bucket] = told.get(bucket, 0) + amount
        # Each keeps to what it holds, and gives back what it likes.
        if sum(amount for amount in told.values() if amount > 0) > held[process]:
            told = {bucket: amount for bucket, amount in told.items() if amount < 0}
        draw = Draw("m", 10, width_s, 0, told, held[process], want)
        after = drawn(record, draw, process, now, 30.0)
        record, share = after.record, after.share
        held[process], heard[process] = share.held, now
        assert share.used + share.reserved + share.held <= 10
        assert min(share.used, share.reserved, share.held, *record.used.values()) >= 0
        assert share.held <= want
        assert record_of(json.loads(json.dumps(written(record)))) == record
