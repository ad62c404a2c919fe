"""Orders from a terminal: every process that shares its state hears of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from capability_router.engine.events import RoutingEvent
from capability_router.router import CapabilityRouter
from tests.cli.running import GOOD, run, run_json, written

LONG_S = 30.0


@pytest.fixture
def config(tmp_path: Path) -> str:
    return written(tmp_path, f"{GOOD}state: sqlite:///{tmp_path}/state.db\n")


@pytest.fixture
def router(config: str) -> Iterator[CapabilityRouter]:
    router = CapabilityRouter.from_yaml(config)
    yield router
    router.close()


def hear(router: CapabilityRouter) -> SimpleQueue[RoutingEvent]:
    heard: SimpleQueue[RoutingEvent] = SimpleQueue()
    router.emitter.subscribe(heard.put)
    return heard


def until(heard: SimpleQueue[RoutingEvent], what: str) -> RoutingEvent:
    while (event := heard.get(timeout=LONG_S)).type != what:
        pass
    return event


def test_a_model_that_is_deactivated_here_leaves_there_and_comes_back(
    config: str, router: CapabilityRouter
) -> None:
    heard = hear(router)
    code, shown = run("deactivate", "local/small", "--reason", "odd", "--config", config)
    assert (code, shown) == (0, "local/small is on standby until it is recovered: odd\n")
    assert until(heard, "model_deactivated").reason == "odd"
    code, shown = run("recover", "local/small", "--config", config)
    assert (code, shown) == (0, "local/small is no longer on standby for: odd\n")
    until(heard, "model_activated")


def test_a_provider_that_is_drained_leaves_whole_and_for_as_long_as_it_was_said(
    config: str, router: CapabilityRouter
) -> None:
    heard = hear(router)
    code, told = run_json("drain", "local", "--for", "2h", "--config", config)
    assert (code, told["provider"], told["reason"]) == (0, "local", "drained")
    assert told["until"].endswith("+00:00")
    until(heard, "provider_deactivated")
    (standby,) = router.pool("text").get_standby()
    assert standby.until is not None
    assert standby.until - router.clock.now() == pytest.approx(7200, abs=60)
    code, told = run_json("recover", "local", "--config", config)
    assert (code, told) == (0, {"lifted": [{"name": "local", "reason": "drained"}]})
    until(heard, "model_activated")


def test_what_nothing_holds_is_said_to_be_so(config: str) -> None:
    assert run("recover", "local", "--config", config) == (0, "nothing held local\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["deactivate", "local/smal"], "no model 'local/smal'; nearest: local/small"),
        (["drain", "locl"], "no provider 'locl'; nearest: local"),
        (["recover", "nobody"], "no model or provider 'nobody'"),
        (["deactivate", "local/small", "--for", "soon"], "soon"),
    ],
)
def test_a_mistake_changes_nothing_and_is_said(
    config: str, arguments: list[str], words: str
) -> None:
    code, shown = run(*arguments, "--config", config)
    assert code == 2
    assert words in " ".join(shown.split())


def test_without_shared_state_no_process_would_hear_of_it(tmp_path: Path) -> None:
    code, shown = run("drain", "local", "--config", written(tmp_path))
    assert code == 2
    assert "shares no state" in shown


def test_a_store_that_cannot_be_asked_is_said(tmp_path: Path) -> None:
    config = written(tmp_path, f"{GOOD}state: sqlite:///{tmp_path}/none/state.db\n")
    code, shown = run("drain", "local", "--config", config)
    assert code == 2
    assert "none" in shown
