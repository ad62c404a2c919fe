"""Scenario files: what they say, and what is said of wrong ones."""

from pathlib import Path

import pytest

from capability_router import ConfigurationError
from capability_router.engine.limits import Unit
from capability_router.engine.outcome import FailureKind
from capability_router.simulation import Bursts, Outage, Outages, Percentiles, Poisson, Recorded
from capability_router.simulation.scenario import PUBLISHED, Scenario, load_scenario


def loaded(folder: Path, text: str) -> Scenario:
    path = folder / "scenario.yaml"
    path.write_text(text, "utf-8")
    return load_scenario(path)


def refused(folder: Path, text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        loaded(folder, text)
    return str(caught.value).replace(str(folder / "scenario.yaml"), "")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("{per_s: 3}", Poisson(3)),
        ("{quiet_per_s: 1, burst_per_s: 9, burst_s: 5}", Bursts(1, 9, 300.0, 5.0)),
        ("{at_s: [0, 1.5, 2]}", Recorded([0, 1.5, 2])),
    ],
)
def test_arrivals_are_known_by_their_keys(tmp_path: Path, said: str, meant: object) -> None:
    text = f"workload: {{capability: chat-completion, arrivals_at: {said}}}"
    assert loaded(tmp_path, text).workload.arrivals_at == meant


def test_amounts_are_numbers_or_percentiles(tmp_path: Path) -> None:
    text = """
workload: {capability: [a, b], input_tokens: {p50: 10, p90: 20}, output_tokens: 7, requests: 3}
providers:
  alpha: {first_token_s: 0.5, tokens_per_s: {p50: 80, p90: 40, p99: 10}}
"""
    scenario = loaded(tmp_path, text)
    assert scenario.workload.input_tokens == Percentiles(10, 20)
    assert scenario.workload.output_tokens == 7
    assert scenario.workload.capability == ["a", "b"]
    assert scenario.providers["alpha"].first_token_s == 0.5
    assert scenario.providers["alpha"].tokens_per_s == Percentiles(80, 40, 10)


def test_outages_are_named_stated_or_drawn(tmp_path: Path) -> None:
    text = """
workload: {capability: a}
providers:
  alpha:
    outages:
      - published-99.72
      - {start_s: 5, kind: rate_limited, retry_after_s: 3}
      - {availability: 0.9, duration_s: 60, cause: one region}
"""
    assert loaded(tmp_path, text).providers["alpha"].outages == (
        PUBLISHED["published-99.72"],
        Outage(5.0, kind=FailureKind.RATE_LIMITED, retry_after_s=3.0),
        Outages(0.9, Percentiles(60), cause="one region"),
    )


def test_limits_and_quotas_are_those_of_a_configuration(tmp_path: Path) -> None:
    text = """
workload: {capability: a}
providers:
  alpha: {limits: {requests: 30/minute}, quota: {tokens: 1000/day}}
"""
    rolling, renewed = loaded(tmp_path, text).providers["alpha"].limits
    assert (rolling.unit, rolling.amount, rolling.window_s) == (Unit.REQUESTS, 30, 60.0)
    assert (renewed.unit, renewed.amount, renewed.resets is None) == (Unit.TOKENS, 1000, False)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("workload: {capabilty: a}", "unknown key 'capabilty'; did you mean 'capability'?"),
        ("providers: {}", "the key 'workload' is missing"),
        ("workload: {capability: a, requests: 0}", ":1:11: workload: requests 0"),
        ("workload: {capability: a, requests: many}", ":1:37: workload.requests: input should be"),
        ("workload: {capability: a, arrivals_at: {per_s: 0}}", "per_s 0.0 must be above 0"),
        ("workload: {capability: a, input_tokens: {p50: 1, p9: 2}}", "did you mean 'p99'?"),
        (
            "workload: {capability: a}\nproviders: {x: {outages: [published-99]}}",
            "there are published-99.58, published-99.72",
        ),
        (
            "workload: {capability: a}\nproviders: {x: {outages: [{availability: 0.9}]}}",
            "providers.x.outages[0].duration_s: the key 'duration_s' is missing",
        ),
        (
            "workload: {capability: a}\nproviders: {x: {limits: {requests: 30/minite}}}",
            "expected AMOUNT/WINDOW such as 30/minute",
        ),
        ("workload: {capability: a}\nproviders: {x: {failure_rate: 2}}", "between 0 and 1"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    assert told in refused(tmp_path, text)


def test_all_that_is_wrong_comes_out_at_once(tmp_path: Path) -> None:
    text = "workload: {capability: a, requests: many, streamed: perhaps, output_tokens: few}"
    assert len(refused(tmp_path, text).splitlines()) == 3


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"missing\.yaml: cannot be read"):
        load_scenario(tmp_path / "missing.yaml")
