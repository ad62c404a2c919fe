"""The demo as a newcomer sees it: real providers, real faults, and every request answered."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.live import Live
from typer.testing import CliRunner

from capability_router import CapabilityRouter
from capability_router.cli.app import app
from capability_router.cli.demo_scenes import PROVIDERS, router_of_lab, scenes
from capability_router.cli.demo_stage import TextStage
from capability_router.lab import Lab, overloaded
from capability_router.watching.log import LogFollower
from capability_router.watching.sources import RouterSource
from capability_router.watching.view import View
from tests.cli.running import run


@pytest.fixture(scope="module")
def shown() -> str:
    code, text = run("demo")
    assert code == 0, text
    return text


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    result = CliRunner().invoke(app, ["demo", "--json"])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_every_request_is_answered_in_six_scenes(shown: str) -> None:
    titles = re.findall(r"^(\d)\. ", shown, re.MULTILINE)
    assert titles == [str(number) for number in range(1, 7)]
    assert shown.count("the caller got: ") == 8
    assert "Every request was answered." in shown


def test_a_pipe_gets_the_tree_after_each_scene_and_no_colours(shown: str) -> None:
    assert shown.count("text-generation  pool text") == 6
    assert re.search(r"── ○ standby alpha/small +rate limited", shown)
    assert "\x1b" not in shown


def test_it_says_why_each_model_was_tried_and_how_that_ended(shown: str) -> None:
    for line in (
        "alpha/small of pool chat: the strategy priority puts it first → rate limited",
        "beta/small of pool chat: the strategy priority puts it first → connection",
        "this request is its trial → answered",
    ):
        assert line in shown


def test_it_ends_with_where_to_go_next(shown: str) -> None:
    told = re.findall(r"^  capability-router (\w+)", shown.partition("Next:")[2], re.MULTILINE)
    assert told
    assert all(run(command, "--help")[0] == 0 for command in told)


def test_json_has_one_event_or_decision_in_a_line(records: list[dict[str, Any]]) -> None:
    assert {each["record"] for each in records} == {"event", "decision"}
    tried = [
        [(each["model"], each["kind"]) for each in record["attempts"]]
        for record in records
        if record["record"] == "decision"
    ]
    assert tried[:3] == [
        [("alpha/small", None)],
        [("alpha/small", "rate_limited"), ("beta/small", None)],
        [("alpha/small", None)],
    ]
    assert tried[3][-1] == ("gamma/small", None)


def test_what_it_prints_is_a_log_that_can_be_watched(
    records: list[dict[str, Any]], tmp_path: Path
) -> None:
    log = tmp_path / "demo.jsonl"
    log.write_text("".join(f"{json.dumps(each)}\n" for each in records))
    view, source = View(), LogFollower(log)
    for record in source.poll():
        view.take(record)
    assert view.skipped == 0
    assert len(view.decisions) == 8


def test_a_cut_stream_reaches_the_caller_as_one_answer() -> None:
    with Lab(PROVIDERS, answers="echo") as lab:
        *_, last = scenes(lab, router := router_of_lab(lab))
        last.prepare()
        (ask_streamed,) = last.requests
        assert ask_streamed() == "alpha echoes: good morning, and how are you today?"
        broken, served = router.decisions[-1].attempts
    assert (broken.model, broken.kind) == ("alpha/small", "protocol")
    assert served.kind is None


def test_a_terminal_has_the_newest_tree_in_sight_and_not_one_for_each_scene() -> None:
    written = StringIO()
    console = Console(file=written, force_terminal=True, width=100, color_system=None)
    with Lab(PROVIDERS, answers="echo") as lab:
        source = RouterSource(router_of_lab(lab))
        with Live(console=console, auto_refresh=False) as live:
            stage = TextStage(console, live)
            stage.take(source.poll())
            before = written.getvalue()
            stage.end()
    assert "● active alpha/small" in before
    assert written.getvalue().removeprefix(before).count("alpha/small") <= 1


def test_a_request_that_nobody_answers_is_told_and_exits_with_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def router_of_sick_lab(lab: Lab) -> CapabilityRouter:
        for provider in lab:
            provider.fault = overloaded()
        return router_of_lab(lab)

    monkeypatch.setattr("capability_router.cli.demo_play.router_of_lab", router_of_sick_lab)
    code, shown = run("demo")
    assert code == 1
    assert "the caller got: an error: " in shown
    assert "requests got no answer" in shown
