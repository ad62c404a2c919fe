"""The command that tells who would serve, as a person uses it."""

from pathlib import Path

from capability_router import Decision
from tests.cli.running import run, run_json, written

THREE = """\
providers:
  alpha: {base_url: "http://127.0.0.1:1/v1"}
  beta: {base_url: "http://127.0.0.1:2/v1"}
models:
  alpha/small: {capabilities: [chat-completion], features: [streaming], context_window: 8000}
  beta/large: {capabilities: [chat-completion], features: [streaming, vision]}
  beta/code: {capabilities: [code-generation]}
pools:
  text: {hierarchy_node: chat-completion, strategy: priority}
"""


def test_the_chosen_model_is_named_with_the_reason(tmp_path: Path) -> None:
    code, shown = run("explain", written(tmp_path, THREE), "chat-completion")
    assert code == 0
    assert "alpha/small serves: the strategy priority puts it first" in shown
    assert "code" not in shown


def test_what_kept_the_others_out_is_told(tmp_path: Path) -> None:
    options = ("--requires", "vision", "--input-tokens", "9000")
    code, shown = run("explain", written(tmp_path, THREE), "chat-completion", *options)
    assert code == 0
    assert "beta/large serves" in shown
    assert "lacks vision" in shown


def test_nobody_is_exit_code_1(tmp_path: Path) -> None:
    options = ("--model", "gamma/none")
    code, shown = run("explain", written(tmp_path, THREE), "chat-completion", *options)
    assert code == 1
    assert "nobody can serve this" in shown


def test_json_is_a_decision(tmp_path: Path) -> None:
    code, told = run_json("explain", written(tmp_path, THREE), "chat-completion")
    assert code == 0
    assert Decision.from_dict(told).served_by == "alpha/small"


def test_unknown_capability_and_feature_are_exit_code_2(tmp_path: Path) -> None:
    config = written(tmp_path, THREE)
    code, shown = run("explain", config, "chat-completino")
    assert code == 2
    assert "chat-completion" in shown
    assert run("explain", config, "chat-completion", "--requires", "sight")[0] == 2
    assert run("explain", config, "chat-completion", "--pool", "texts")[0] == 2


def test_nothing_is_told_to_the_connectors_of_the_file(tmp_path: Path) -> None:
    observed = f"{THREE}observability: [{{jsonl: {{path: routing.jsonl}}}}]\n"
    code, _ = run("explain", written(tmp_path, observed), "chat-completion")
    assert code == 0
    assert not (tmp_path / "routing.jsonl").exists()
