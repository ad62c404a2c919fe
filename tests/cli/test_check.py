"""The command that looks for what is doubtful, as a person uses it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.running import GOOD, run, run_json, written

DOUBTFUL = f"{GOOD}  code: {{hierarchy_node: code-generation}}\n"
SOUND = GOOD.replace("models:", '  other: {base_url: "http://other.example"}\nmodels:').replace(
    "pools:", "  other/small: {capabilities: [chat-completion]}\npools:"
)


def test_a_sound_file_is_well(tmp_path: Path) -> None:
    assert run("check", written(tmp_path, SOUND)) == (0, "all is well\n")


def test_each_finding_has_a_line_in_a_pipe(tmp_path: Path) -> None:
    config = written(tmp_path, DOUBTFUL)
    code, shown = run("check", config)
    empty, single, verdict = shown.splitlines()
    assert code == 1
    assert empty.startswith(f"{config}:7:3: pools.code: error[empty-pool]: pool code has no model")
    assert single.startswith(f"{config}:6:3: pools.text: warning[single-provider]: pool text has")
    assert verdict == "1 error, 1 warning, 0 notes"


@pytest.mark.parametrize("columns", [40, 80])
def test_a_terminal_shows_the_remedy_below_within_its_width(columns: int, tmp_path: Path) -> None:
    _, shown = run("check", written(tmp_path, GOOD), columns=columns)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
    assert max(map(len, lines)) <= columns
    assert lines[0].startswith("warning single-provider")
    assert "  → add a model of another provider" in [line.rstrip() for line in lines]


@pytest.mark.parametrize(("least", "code"), [("error", 0), ("warning", 1), ("note", 1)])
def test_the_end_depends_on_the_severity_that_is_asked_for(
    least: str, code: int, tmp_path: Path
) -> None:
    assert run("check", written(tmp_path), "--fail-on", least)[0] == code


def test_what_is_ignored_is_neither_shown_nor_counted(tmp_path: Path) -> None:
    config = written(tmp_path, DOUBTFUL)
    assert run("check", config, "--ignore", "empty-pool,single-provider") == (0, "all is well\n")
    code, shown = run("check", config, "--ignore", "empty-pol")
    assert (code, shown) == (
        2,
        "error: --ignore 'empty-pol' is no code of a finding; did you mean empty-pool?\n",
    )


def test_json_has_each_finding_with_its_place(tmp_path: Path) -> None:
    config = written(tmp_path, DOUBTFUL)
    code, answer = run_json("check", config)
    assert (code, [finding["code"] for finding in answer["findings"]]) == (
        1,
        ["empty-pool", "single-provider"],
    )
    assert (answer["findings"][0]["file"], answer["findings"][0]["line"]) == (config, 7)


def test_the_load_is_held_against_the_limits(tmp_path: Path) -> None:
    text = GOOD.replace("completion]", "completion], limits: {requests: 60/minute}")
    config = written(tmp_path, text)
    assert run("check", config, "--load", "0.9/s")[0] == 0
    assert "error[overload]" in run("check", config, "--load", "2/s")[1]
    assert run("check", config, "--requests-per-day", "86000")[0] == 0
    assert run("check", config, "--requests-per-day", "87000")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--load", "5"], "error: the load '5' is malformed; write 5/s"),
        (["--load", "5/s", "--requests-per-day", "5"], "error: --load and --requests-per-day say"),
        (["--input-tokens", "5"], "error: --input-tokens and --output-tokens are those of a load"),
    ],
)
def test_a_load_that_makes_no_sense_is_refused(
    arguments: list[str], error: str, tmp_path: Path
) -> None:
    code, shown = run("check", written(tmp_path), *arguments)
    assert (code, shown[: len(error)]) == (2, error)


def test_check_says_what_is_wrong_and_where(tmp_path: Path) -> None:
    config = written(tmp_path, GOOD.replace("text-generation", "txt-generation"))
    code, shown = run("check", config)
    assert code == 2
    assert shown.startswith(f"error: {config}:6:26: pools.text.hierarchy_node")
    assert "Traceback" not in shown


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    code, shown = run("check", str(tmp_path / "absent.yaml"))
    assert code == 2
    assert shown.startswith("error:")
    assert "cannot be read: no such file" in shown
