"""Outages: as often and as long as stated, shared where their cause is, and felt as they are."""

from collections.abc import Iterator
from itertools import islice, pairwise, takewhile
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.engine.outcome import FailureKind
from capability_router.simulation import PUBLISHED_99_58, PUBLISHED_99_72, Outage, Outages
from capability_router.simulation.outages import Calendar
from capability_router.simulation.percentiles import Percentiles
from capability_router.simulation.providers import SimulatedProvider, World
from capability_router.simulation.result import percentile
from tests.simulation.worlds import asked, model

SHORT = Outages(0.9, Percentiles(60.0, 120.0))


def spans(outages: Outages, place: str, until_s: float) -> Iterator[Outage]:
    return takewhile(lambda each: each.start_s < until_s, outages.drawn(0, place))


def durations_s(outages: Outages, number: int) -> list[float]:
    return sorted(each.end_s - each.start_s for each in islice(outages.drawn(1, "a"), number))


def test_availability_comes_true_in_the_long_run() -> None:
    met = list(islice(SHORT.drawn(3, "a"), 20_000))
    down_s = sum(each.end_s - each.start_s for each in met)
    assert 1 - down_s / met[-1].end_s == pytest.approx(SHORT.availability, abs=0.003)


@pytest.mark.parametrize("preset", [PUBLISHED_99_58, PUBLISHED_99_72])
def test_quiet_times_of_a_preset_make_its_availability(preset: Outages) -> None:
    met = list(islice(preset.drawn(1, "a"), 20_000))
    quiet_s = met[0].start_s + sum(after.start_s - before.end_s for before, after in pairwise(met))
    mean_s = preset.duration_s.mean
    expected = mean_s * preset.availability / (1 - preset.availability)
    assert quiet_s / len(met) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(
    ("preset", "minutes"),
    [(PUBLISHED_99_58, (75, 307, 1518)), (PUBLISHED_99_72, (50, 266, 1946))],
)
def test_outages_of_a_preset_last_as_published(
    preset: Outages, minutes: tuple[float, float, float]
) -> None:
    seen = durations_s(preset, 40_000)
    found = [percentile(seen, share) / 60 for share in (0.50, 0.90, 0.99)]
    assert found == pytest.approx(list(minutes), rel=0.1)


@given(st.integers(0, 2**32), st.text(max_size=8))
def test_outages_follow_one_another_without_overlap(seed: int, place: str) -> None:
    met = list(islice(SHORT.drawn(seed, place), 50))
    assert met == list(islice(SHORT.drawn(seed, place), 50))
    assert all(before.end_s <= after.start_s for before, after in pairwise(met))


def test_same_cause_strikes_two_providers_at_the_same_time() -> None:
    shared = Outages(0.9, Percentiles(60.0), cause="region")
    a, b = (list(spans(shared, place, 10_000.0)) for place in ("a", "b"))
    assert a == b != []


def test_outages_without_a_common_cause_are_independent() -> None:
    until_s = 2_000_000.0
    a, b = (list(spans(SHORT, place, until_s)) for place in ("a", "b"))
    both_s = sum(
        max(0.0, min(x.end_s, y.end_s) - max(x.start_s, y.start_s))
        for x in a
        for y in b
        if x.start_s < y.end_s and y.start_s < x.end_s
    )
    assert both_s / until_s == pytest.approx(0.1 * 0.1, rel=0.2)


def test_two_sources_of_one_provider_are_not_the_same_outages() -> None:
    calendar = Calendar([("a", SHORT), ("a", SHORT)], 0)
    calendar.at(100_000.0)
    starts = [each.start_s for each in calendar.met]
    assert len(starts) == len(set(starts)) > 100


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0.1, 50)), max_size=6), st.data())
def test_calendar_knows_what_is_wrong_at_every_moment(
    told: list[tuple[float, float]], data: st.DataObject
) -> None:
    outages = [Outage(start, start + length) for start, length in told]
    calendar = Calendar([("a", each) for each in outages], 0)
    for now in sorted(data.draw(st.lists(st.floats(0, 160), max_size=20))):
        wrong = [each for each in outages if each.start_s <= now < each.end_s]
        assert sorted(calendar.at(now), key=outages.index) == sorted(wrong, key=outages.index)


def share_failing(*outages: Outage, failure_rate: float = 0.0) -> float:
    """Return the share of 4,000 requests that fail."""
    told = SimulatedProvider(outages=outages, failure_rate=failure_rate)
    world = World({"a": told}, [model("a/x")], 0, 0.0)
    answers = [world.answer(model("a/x"), asked(number), 0, 1.0) for number in range(4_000)]
    return sum(answer.failure is not None for answer in answers) / len(answers)


def test_gray_failure_strikes_its_share() -> None:
    assert share_failing(Outage(0.0, share=0.3)) == pytest.approx(0.3, abs=0.03)


def test_outages_at_one_time_strike_independently() -> None:
    both = share_failing(Outage(0.0, share=0.5), Outage(0.0, share=0.4))
    assert both == pytest.approx(1 - 0.5 * 0.6, abs=0.03)


def test_failures_by_chance_come_on_top_of_an_outage() -> None:
    both = share_failing(Outage(0.0, share=0.3), failure_rate=0.2)
    assert both == pytest.approx(0.5, abs=0.03)


def test_whole_outage_leaves_nobody() -> None:
    assert share_failing(Outage(0.0)) == 1.0


def test_slow_outage_makes_everything_take_longer() -> None:
    told = SimulatedProvider(
        first_token_s=2.0, tokens_per_s=10.0, outages=(Outage(10.0, 20.0, share=0.0, slowdown=3.0),)
    )
    world = World({"a": told}, [model("a/x")], 0, 0.0)
    before, within, after = (
        world.answer(model("a/x"), asked(0, output_tokens=40), 0, now) for now in (9.9, 10.0, 20.0)
    )
    assert (before.first_s, before.whole_s) == (2.0, 6.0)
    assert (within.first_s, within.whole_s) == (6.0, 18.0)
    assert after == before


def test_stated_outage_says_what_attempts_fail_with() -> None:
    stated = Outage(0.0, 5.0, FailureKind.OVERLOADED, status=529, retry_after_s=7.0)
    told = SimulatedProvider(error_s=0.5, outages=(stated,))
    world = World({"a": told}, [model("a/x")], 0, 0.0)
    answer = world.answer(model("a/x"), asked(0), 0, 4.9)
    assert (answer.first_s, answer.whole_s, answer.written) == (0.5, 0.5, 0)
    failure = answer.failure
    assert failure is not None
    assert (failure.kind, failure.status, failure.retry_after_s) == ("overloaded", 529, 7.0)
    assert world.answer(model("a/x"), asked(0), 0, 5.0).failure is None


def test_provider_that_hangs_never_answers() -> None:
    told = SimulatedProvider(outages=(Outage(0.0, kind=FailureKind.TIMEOUT),))
    world = World({"a": told}, [model("a/x")], 0, 0.0)
    assert world.answer(model("a/x"), asked(0), 0, 0.0).whole_s == inf


def test_outage_of_one_model_leaves_the_others_of_its_provider() -> None:
    told = SimulatedProvider(outages=(Outage(0.0),))
    world = World({"a/x": told}, [model("a/x"), model("a/y")], 0, 0.0)
    assert world.answer(model("a/x"), asked(0), 0, 0.0).failure is not None
    assert world.answer(model("a/y"), asked(0), 0, 0.0).failure is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"start_s": 5.0, "end_s": 5.0}, "end_s 5.0 must be after start_s 5.0"),
        ({"start_s": 0.0, "share": 1.1}, "share 1.1 must be between 0 and 1"),
        ({"start_s": 0.0, "slowdown": 0.5}, "slowdown 0.5 must be at least 1"),
        ({"start_s": 0.0, "retry_after_s": -1.0}, "retry_after_s -1.0 must be at least 0"),
        ({"start_s": 0.0, "kind": "no such kind"}, "no such kind"),
    ],
)
def test_outage_that_cannot_be_is_refused(wrong: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Outage(**wrong)  # type: ignore[arg-type]  # values are wrong, and one of them in its type


@pytest.mark.parametrize("availability", [0.0, 1.0, 1.5, -0.1])
def test_availability_out_of_range_is_refused(availability: float) -> None:
    with pytest.raises(ValueError, match=f"availability {availability} must be above 0"):
        Outages(availability, Percentiles(60.0))


def test_share_of_drawn_outages_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="share 2"):
        Outages(0.9, Percentiles(60.0), share=2)
