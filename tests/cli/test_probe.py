"""The command that asks every model once, against providers that answer and providers that fail."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from capability_router.lab import Lab, hang, rate_limited, unauthorized
from tests.cli.running import run, run_json, written
from tests.connections import connections, forget_lost_clients

KEY = "sk-canary-0123456789abcdefghij"
MODELS = """\
models:
  alpha/chat: {{capabilities: [chat-completion], price: {{input: 1, output: 2}}}}
  beta/vectors: {{capabilities: [text-embeddings]}}
  gamma/pictures: {{capabilities: [text-to-image]}}
"""


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(["alpha", "beta", "gamma"], answers="echo") as lab, connections():
        yield lab
    forget_lost_clients()


def configuration(lab: Lab, folder: Path) -> str:
    providers = "".join(
        f"  {each.name}: {{base_url: '{each.base_url}', api_key: '${{env:PROBED_KEY}}'}}\n"
        for each in lab
    )
    return written(folder, f"providers:\n{providers}{MODELS.format()}")


@pytest.fixture
def config(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PROBED_KEY", KEY)
    return configuration(lab, tmp_path)


def test_every_model_with_a_cheap_call_is_asked_once(lab: Lab, config: str) -> None:
    code, told = run_json("probe", config, "--model", "alpha/chat,beta/vectors,gamma/pictures")
    assert code == 0
    chat, vectors, pictures = told
    assert (chat["ok"], chat["endpoint"]) == (True, "completion")
    assert chat["cost_usd"] == pytest.approx(
        (chat["input_tokens"] + 2 * chat["output_tokens"]) / 1e6
    )
    assert (vectors["ok"], vectors["endpoint"]) == (True, "embedding")
    assert (pictures["ok"], pictures["endpoint"]) == (None, None)
    assert [each.request_count for each in lab] == [1, 1, 0]


def test_an_answer_costs_little(lab: Lab, config: str) -> None:
    run_json("probe", config, "--model", "alpha/chat")
    (asked,) = lab["alpha"].requests
    assert asked.body is not None
    assert asked.body["max_tokens"] == 16


def test_who_does_not_answer_is_told_with_the_reason(lab: Lab, config: str) -> None:
    lab["alpha"].fault = rate_limited(retry_after=3)
    lab["beta"].fault = unauthorized()
    code, shown = run("probe", config, "--model", "alpha/chat,beta/vectors")
    assert code == 1
    assert "2 models, 2 without an answer" in shown
    assert "✗ rate limited (HTTP 429)" in shown
    assert "✗ auth (HTTP 401)" in shown
    assert [each.request_count for each in lab] == [1, 1, 0]


def test_a_provider_that_hangs_is_left_in_time(lab: Lab, config: str) -> None:
    lab["alpha"].fault = hang()
    code, told = run_json("probe", config, "--model", "alpha/chat", "--timeout", "0.3")
    assert code == 1
    assert told[0]["kind"] == "timeout"


def test_no_key_is_shown(lab: Lab, config: str) -> None:
    lab["alpha"].fault = unauthorized()
    for shown in (run("probe", config)[1], str(run_json("probe", config)[1])):
        assert KEY not in shown
        assert "alpha/chat" in shown


def test_a_model_that_is_not_there_is_exit_code_2(config: str) -> None:
    code, shown = run("probe", config, "--model", "alpha/chta")
    assert code == 2
    assert "alpha/chta" in shown


def test_without_litellm_it_says_what_to_install(
    config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "litellm_capability_router.probes", raising=False)
    monkeypatch.setitem(sys.modules, "litellm", None)
    code, shown = run("probe", config)
    assert code == 2
    assert "litellm is not installed; run: pip install 'capability-router[litellm]'" in shown
    assert "Traceback" not in shown
