"""Limits and quotas against the load that is expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from capability_router import ExpectedLoad
from tests.linting.test_findings import SOUND, changed, found


def codes(folder: Path, text: str, load: ExpectedLoad) -> list[str]:
    return [finding.code for finding in found(folder, text, expected=load)]


@pytest.mark.parametrize(
    ("per_s", "expected"),
    [(0.9, []), (1.5, ["no-spare"]), (3.0, ["no-spare"]), (3.1, ["overload"])],
)
def test_the_limits_of_the_models_add_up(per_s: float, expected: list[str], tmp_path: Path) -> None:
    assert codes(tmp_path, SOUND, ExpectedLoad(per_s)) == expected


def test_the_findings_say_what_is_allowed_and_expected(tmp_path: Path) -> None:
    (over,) = found(tmp_path, SOUND, expected=ExpectedLoad(5))
    assert over.message == ("pool text may make at most 3 requests per second, and 5 are expected")
    (spare,) = found(tmp_path, SOUND, expected=ExpectedLoad(2))
    assert spare.message == (
        "when beta is down, pool text has too little: at most 1 requests per second are left,"
        " and 2 are expected"
    )


def test_a_provider_holds_the_models_it_has(tmp_path: Path) -> None:
    text = changed(('ALPHA_KEY}"}', 'ALPHA_KEY}", limits: {requests: 30/minute}}'))
    assert codes(tmp_path, text, ExpectedLoad(2.6)) == ["overload"]


def test_a_pool_holds_them_all(tmp_path: Path) -> None:
    text = changed(("{hierarchy_node", "{quota: {requests: 86400/day}, hierarchy_node"))
    assert codes(tmp_path, text, ExpectedLoad(0.9)) == []
    assert codes(tmp_path, text, ExpectedLoad(1.1)) == ["overload"]


def test_a_pool_above_takes_what_a_limited_one_cannot(tmp_path: Path) -> None:
    limited = "  chat: {limits: {requests: 60/minute}, hierarchy_node: chat-completion"
    alone = f"{SOUND}{limited}}}\n"
    assert codes(tmp_path, alone, ExpectedLoad(2.9)) == ["no-spare", "no-spare"]
    assert codes(tmp_path, alone, ExpectedLoad(3.1)) == ["overload", "overload"]
    # What both draw on is there once.
    shared = f"{SOUND}{limited}, allowed_providers: [beta]}}\n"
    assert codes(tmp_path, shared, ExpectedLoad(3.1)) == ["overload", "overload"]
    without = shared.replace("text: {", "text: {allowed_providers: [alpha], ")
    over = [f for f in found(tmp_path, without, expected=ExpectedLoad(2.1)) if f.code == "overload"]
    assert ["pool text may make at most 1 requests" in over[0].message, len(over)] == [True, 2]
    assert "pool chat with those above it may make at most 2 requests" in over[1].message


@pytest.mark.parametrize("window", ["minute", "hour", "day", "week"])
def test_quotas_of_the_calendar_count_as_their_rate(window: str, tmp_path: Path) -> None:
    seconds = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}[window]
    text = changed(
        ("{hierarchy_node", f"{{quota: {{requests: {seconds}/{window}}}, hierarchy_node")
    )
    assert codes(tmp_path, text, ExpectedLoad(0.99)) == []
    assert codes(tmp_path, text, ExpectedLoad(1.01)) == ["overload"]


def test_tokens_and_money_count_where_a_request_is_known(tmp_path: Path) -> None:
    tokens = changed(("{hierarchy_node", "{limits: {tokens: 6000/minute}, hierarchy_node"))
    assert codes(tmp_path, tokens, ExpectedLoad(0.9)) == []
    assert codes(tmp_path, tokens, ExpectedLoad(0.9, 80, 40)) == ["overload"]
    money = changed(
        ("{requests: 60/minute}", "{usd: 0.6/minute}, price: {input: 100, output: 0}"),
        ("{requests: 120/minute}", "{usd: 0.6/minute}, price: {input: 100, output: 0}"),
    )
    assert codes(tmp_path, money, ExpectedLoad(1.9, 100)) == ["no-spare"]
    assert codes(tmp_path, money, ExpectedLoad(2.1, 100)) == ["overload"]


@pytest.mark.parametrize(
    ("text", "per_s"),
    [("5/s", 5), ("300/min", 5), ("1.5/s", 1.5), ("86400/day", 1), ("36/h", 0.01)],
)
def test_a_load_is_read(text: str, per_s: float) -> None:
    assert ExpectedLoad.parse(text).per_s == pytest.approx(per_s)


@pytest.mark.parametrize("text", ["5", "5/month", "/s", "-1/s", "0/s", "fast", "1/s/s"])
def test_a_load_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="load"):
        ExpectedLoad.parse(text)


def test_numbers_of_tokens_below_0_are_refused() -> None:
    with pytest.raises(ValueError, match="must not be below 0"):
        ExpectedLoad(1, -1)
