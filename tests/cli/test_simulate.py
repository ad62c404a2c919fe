"""The commands that simulate and replay, as a person uses them."""

from pathlib import Path

import pytest

from capability_router import CapabilityRouter, JsonLines, Model
from tests.cli.running import run, run_json, written

TWO = """\
providers:
  alpha: {base_url: "http://127.0.0.1:1/v1"}
  beta: {base_url: "http://127.0.0.1:2/v1"}
models:
  alpha/small: {capabilities: [chat-completion], price: {input: 1, output: 2}}
  beta/large: {capabilities: [chat-completion], price: {input: 2, output: 4}}
pools:
  chat: {hierarchy_node: chat-completion, strategy: cost-first}
"""


def test_a_configuration_is_compared_with_the_rules_of_others(tmp_path: Path) -> None:
    code, shown = run("simulate", written(tmp_path, TWO), "--requests", "50", "--seeds", "2")
    assert code == 0
    assert "Mean over 2 worlds" in shown
    rules = ("your pools", "ordered fallback", "random retry", "stick until failure")
    assert all(rule in shown for rule in rules)


def test_the_same_command_says_the_same(tmp_path: Path) -> None:
    asked = ("simulate", written(tmp_path, TWO), "--requests", "50", "--alone")
    assert run_json(*asked) == run_json(*asked)


def test_a_scenario_is_followed(tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(
        "workload: {capability: chat-completion, requests: 40}\n"
        "providers: {alpha: {outages: [{start_s: 0, kind: overloaded}]}}",
        "utf-8",
    )
    asked = ("simulate", written(tmp_path, TWO), "--scenario", str(scenario), "--seeds", "1")
    code, told = run_json(*asked)
    assert code == 0
    results = {name: each["results"][0] for name, each in told["policies"].items()}
    assert {each["requests"] for each in results.values()} == {40}
    assert {each["models"]["alpha/small"]["served"] for each in results.values()} == {0}
    assert results["ordered fallback"]["wasted_calls"] == 3 * 40


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--scenario", "missing.yaml"), "missing.yaml: cannot be read"),
        (
            ("--capability", "chat-completions"),
            "nearest: generation.text-generation.chat-completion",
        ),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, options: tuple[str, ...], told: str) -> None:
    code, shown = run("simulate", written(tmp_path, TWO), *options)
    assert code == 2
    assert told in shown


def recorded(folder: Path, *failing: str) -> str:
    """Write a log of five requests, in which some providers fail."""
    log = folder / "routing.jsonl"
    connector = JsonLines(log)
    router = CapabilityRouter(observability=[connector])
    for name in ("alpha/small", "beta/large"):
        router.register(Model(name, ("chat-completion",)))

    def attempt(model: Model) -> str:
        if model.provider in failing:
            raise ConnectionError
        return "an answer"

    for _ in range(5):
        router.call("chat-completion", attempt)
    connector.close()
    return str(log)


def test_differences_are_listed(tmp_path: Path) -> None:
    alone = TWO.replace("cost-first", "priority, model_priority: [beta/large]")
    code, shown = run("replay", recorded(tmp_path, "alpha"), written(tmp_path, alone))
    assert code == 0
    assert "5 requests again; different: other_attempts" in shown
    assert "alpha/small connection → beta/large" in shown


def test_a_lost_request_is_exit_code_1(tmp_path: Path) -> None:
    only = TWO.replace("strategy: cost-first", "allowed_providers: [alpha]")
    code, told = run_json("replay", recorded(tmp_path, "alpha"), written(tmp_path, only))
    assert code == 1
    assert told["changes"]["lost"] == 5


def test_json_tells_on_what_it_rests(tmp_path: Path) -> None:
    code, told = run_json("replay", recorded(tmp_path), written(tmp_path, TWO))
    assert code == 0
    assert told["rests_on"] == {"recorded": 5, "nearest": 0, "assumed": 0}


def test_a_file_that_is_no_log_is_exit_code_2(tmp_path: Path) -> None:
    config = written(tmp_path, TWO)
    code, shown = run("replay", config, config)
    assert code == 2
    assert "this is no record of JsonLines" in shown
