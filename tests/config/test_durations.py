import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.config.durations import parse_duration

UNITS_S = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("3ms", 0.003),
        ("60s", 60.0),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("2d", 172_800.0),
        ("1.5s", 1.5),
        ("1m500ms", 60.5),
        ("0s", 0.0),
    ],
)
def test_a_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "60",
        "s",
        "-5s",
        "5 s",
        "5S",
        "30m1h",
        "5s5s",
        "1h30",
        "1e3s",
        "٣s",
        "5s\n",
        "9" * 10 + "s",
    ],
)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="60s"):
        parse_duration(text)


@given(st.dictionaries(st.sampled_from(list(UNITS_S)), st.integers(0, 10**6), min_size=1))
def test_a_duration_is_the_sum_of_its_parts(parts: dict[str, int]) -> None:
    text = "".join(f"{parts[unit]}{unit}" for unit in UNITS_S if unit in parts)
    assert parse_duration(text) == sum(parts[unit] * UNITS_S[unit] for unit in parts)


@given(st.text(alphabet="0123456789.dhms -e") | st.text())
def test_any_text_is_a_finite_duration_or_refused(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except ValueError:
        return
    assert 0 <= seconds < 1e15
