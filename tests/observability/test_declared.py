"""Connectors that a configuration names: opened with it, kept while it names them, then closed."""

import json
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from capability_router import (
    CapabilityRouter,
    ConfigurationError,
    Decision,
    RoutingEvent,
    Webhook,
    registry,
)
from capability_router.config import load
from tests.config.own import Kept, made
from tests.receiving import receiving

FILE = """
allow_imports: true
providers: {a: {}}
models: {a/x: {capabilities: [chat-completion]}}
pools: {chat: {hierarchy_node: chat-completion}}
"""
KEPT = "'tests.config.own:Kept'"


class Written:
    """A configuration in a file, whose connectors can be written anew."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "router.yaml"
        self.label = str(folder)

    def says(self, *connectors: str) -> Path:
        told = ", ".join(connectors)
        self.path.write_text(f"{FILE}observability: [{told}]\n")
        return self.path

    def kept(self, settings: str) -> str:
        return f"{{{KEPT}: {{label: '{self.label}', {settings}}}}}"

    def made(self) -> list[Kept]:
        return [each for each in made if each.label == self.label]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return Written(tmp_path)


def decisions(kept: Kept) -> int:
    return sum(isinstance(item, Decision) for item in kept.items)


def ask(router: CapabilityRouter) -> None:
    router.call("chat-completion", lambda model: model.name)


def test_connectors_hear_of_the_pools_that_their_own_configuration_makes(written: Written) -> None:
    router = CapabilityRouter.from_yaml(written.says(written.kept("most: 3, every: 2m")))
    ask(router)
    (kept,) = written.made()
    assert (kept.most, kept.every_s) == (3, 120.0)
    *events, decision = kept.items
    assert {item.pool for item in events if isinstance(item, RoutingEvent)} == {"", "chat"}
    assert isinstance(decision, Decision)


def test_file_of_records_lies_beside_the_configuration_and_is_closed_with_the_router(
    written: Written, tmp_path: Path
) -> None:
    router = CapabilityRouter.from_yaml(written.says("{jsonl: {path: log.jsonl}}", "logging"))
    ask(router)
    router.close()
    router.close()
    ask(router)
    text = (tmp_path / "log.jsonl").read_text()
    told = [json.loads(line)["record"] for line in text.splitlines()]
    assert (told.count("decision"), told[0], told[-1]) == (1, "event", "decision")
    assert not router.emitter.failures


async def test_router_closes_in_an_event_loop_and_sends_what_waits(written: Written) -> None:
    with receiving() as receiver:
        webhook = f"{{webhook: {{url: '{receiver.url}', events: false, close: 50s}}}}"
        router = CapabilityRouter.from_yaml(written.says(webhook))
        ask(router)
        await router.aclose()
        assert [each["record"] for each in receiver.records] == ["decision"]


def test_metrics_stand_in_the_global_registry(written: Written) -> None:
    router = CapabilityRouter.from_yaml(written.says("prometheus", "opentelemetry"))
    ask(router)
    names = {family.name for family in REGISTRY.collect()}
    assert {"capability_router_requests", "capability_router_model_active"} <= names
    assert not router.emitter.failures


def test_connector_that_is_named_again_stays_and_one_that_is_not_is_closed(
    written: Written,
) -> None:
    one, two = written.kept("most: 1"), written.kept("most: 2")
    router = CapabilityRouter.from_yaml(written.says(one, two))
    written.says(written.kept("most: 3"), two)
    router.reload()
    ask(router)
    heard = {each.most: (each.is_closed, decisions(each)) for each in written.made()}
    assert heard == {1: (True, 0), 2: (False, 1), 3: (False, 1)}


def test_file_of_records_whose_limits_change_goes_on_in_the_same_file(
    written: Written, tmp_path: Path
) -> None:
    router = CapabilityRouter.from_yaml(written.says("{jsonl: {path: log.jsonl}}"))
    ask(router)
    written.says("{jsonl: {path: log.jsonl, max_bytes: 900000}}")
    router.reload()
    ask(router)
    router.close()
    told = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert sum(each["record"] == "decision" for each in told) == 2
    assert not router.emitter.failures


def test_connector_of_another_distribution_is_named_by_its_entry_point(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = EntryPoint("kept", "tests.config.own:Kept", "capability_router.observability")
    monkeypatch.setattr(registry, "entry_points", EntryPoints([own]).select)
    path = written.says(f"{{kept: {{label: '{written.label}'}}}}")
    path.write_text(path.read_text().replace("allow_imports: true", "allow_imports: false"))
    ask(CapabilityRouter.from_yaml(path))
    (kept,) = written.made()
    assert decisions(kept) == 1


@pytest.mark.parametrize("wrong", ["{'tests.config.own:Kept': {most: 0}}", "loging"])
def test_configuration_with_a_wrong_connector_changes_nothing(written: Written, wrong: str) -> None:
    router = CapabilityRouter.from_yaml(written.says(written.kept("most: 1")))
    written.says(written.kept("most: 2"), wrong)
    with pytest.raises(ConfigurationError):
        router.reload()
    ask(router)
    first, *others = written.made()
    assert (first.is_closed, decisions(first)) == (False, 1)
    assert [each.is_closed for each in others] == [True] * len(others)


def test_configuration_that_cannot_be_taken_on_brings_the_old_connectors_back(
    written: Written,
) -> None:
    router = CapabilityRouter.from_yaml(written.says(written.kept("most: 1")))
    router.add_pool("mine", "ocr")
    text = written.says(written.kept("most: 2")).read_text()
    written.path.write_text(text.replace("{chat:", "{mine:"))
    with pytest.raises(ValueError, match="mine"):
        router.reload()
    ask(router)
    first, second = written.made()
    assert (first.is_closed, second.is_closed) == (False, True)
    assert type(first.items[-1]).__name__ == "Decision"
    assert second.items == []


def test_connector_that_was_handed_over_by_code_outlives_every_configuration(
    written: Written,
) -> None:
    mine = Kept()
    router = CapabilityRouter(observability=[mine])
    router.configure(load(written.says("logging")))
    router.configure(load(written.says()))
    router.close()
    ask(router)
    assert not mine.is_closed
    assert type(mine.items[-1]).__name__ == "Decision"


@pytest.mark.parametrize(
    ("connector", "place", "what"),
    [
        ("{jsonl: {path: x.jsonl, backups: -1}}", "jsonl.backups", "backups -1 must not be below"),
        ("{jsonl: {path: no/such/x.jsonl}}", "jsonl", "FileNotFoundError"),
        ("{webhook: {url: 'ftp://host/'}}", "webhook.url", "url must begin with http"),
        ("{webhook: {url: 'http://h/', timeout: 0s}}", "webhook.timeout", "must be above 0"),
        ("'tests.config.own:deaf'", "", "this connector cannot be made: RuntimeError: no network"),
    ],
)
def test_connector_that_cannot_be_made_is_told_with_its_place(
    written: Written, connector: str, place: str, what: str
) -> None:
    written.says("logging", connector)
    with pytest.raises(ConfigurationError) as refused:
        CapabilityRouter.from_yaml(written.path)
    (problem,) = refused.value.problems
    assert problem.key_path == f"observability[1].{place}".removesuffix(".")
    assert (problem.file, problem.line) == (str(written.path), 6)
    assert what in problem.message


@pytest.mark.parametrize(
    "connector", ["{webhook: {url: '${env:SET}'}}", "{jsonl: {path: '${env:SET}'}}"]
)
def test_what_a_reference_stands_for_is_in_no_message(
    written: Written, connector: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SET", "ftp://canary/")
    written.says(connector)
    with pytest.raises(ConfigurationError, match="what a reference stands for") as refused:
        CapabilityRouter.from_yaml(written.path)
    assert "canary" not in f"{refused.value} {refused.value!r}"
    assert refused.value.__cause__ is None


def test_missing_extra_is_told_at_the_connector_that_needs_it(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "capability_router.observability.metrics", raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'capability-router\[prometheus\]'"):
        CapabilityRouter.from_yaml(written.says("prometheus"))


def test_configuration_that_is_only_read_opens_nothing(written: Written, tmp_path: Path) -> None:
    written.says("{jsonl: {path: log.jsonl}}", written.kept("most: 1"))
    load(written.path)
    assert written.made() == []
    assert not (tmp_path / "log.jsonl").exists()


def test_blueprint_shows_no_header(written: Written) -> None:
    written.says("{webhook: {url: 'https://host/T0K3N', headers: {A: S3CR3T}}}")
    blueprint = load(written.path)
    (spec,) = blueprint.connectors
    assert spec.factory is Webhook
    assert "S3CR3T" not in repr(blueprint)
    assert "T0K3N" not in repr(blueprint)


def test_connector_may_read_the_configuration_again_when_it_is_told_of_it(
    written: Written,
) -> None:
    class Impatient:
        told = 0

        def record(self, item: RoutingEvent | Decision) -> None:
            Impatient.told += 1
            if Impatient.told == 1:
                router.reload()

    router = CapabilityRouter.from_yaml(written.says(written.kept("most: 1")))
    router.observe(Impatient())
    written.says(written.kept("most: 2"))
    router.reload()
    ask(router)
    assert not router.emitter.failures
    assert {each.most: each.is_closed for each in written.made()} == {1: True, 2: False}


def test_connector_that_fails_to_close_keeps_no_other_open(written: Written) -> None:
    router = CapabilityRouter.from_yaml(
        written.says(written.kept("most: 1"), written.kept("most: 2"))
    )

    def fail() -> None:
        raise OSError("disk full")

    first, second = written.made()
    second_close: Callable[[], Any] = fail
    second.__dict__["close"] = second_close
    with pytest.raises(OSError, match="disk full"):
        router.close()
    assert first.is_closed
