import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from capability_router import CapabilityRouter, Decision, JsonLines, Model, RoutingEvent
from capability_router.testing.clock import ManualClock


def routed(tmp_path: Path, **options: int) -> tuple[CapabilityRouter, JsonLines]:
    clock = ManualClock()
    log = JsonLines(tmp_path / "log.jsonl", clock=clock, **options)
    router = CapabilityRouter(clock=clock, observability=[log], seed=1)
    router.register(Model("a/x", ("chat-completion",)))
    return router, log


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_event_and_decision_is_a_line_that_can_be_read_back(tmp_path: Path) -> None:
    router, log = routed(tmp_path)
    events: list[RoutingEvent] = []
    router.emitter.subscribe(events.append)
    router.call("chat-completion", lambda model: model.name)
    router.deactivate("a/x", "manual")
    log.close()
    told = lines(log.path)
    read = [RoutingEvent.from_dict(each) for each in told if each["record"] == "event"]
    # The log has heard of the model before the other could.
    assert (read[0].details["added"], read[1:]) == (["a/x"], events)
    (decision,) = (Decision.from_dict(each) for each in told if each["record"] == "decision")
    assert decision.as_dict() == router.decisions[0].as_dict()
    assert {each["wall"] for each in told} == {ManualClock().wall()}


def test_no_line_is_lost_or_torn_however_many_threads_write_and_files_are_begun(
    tmp_path: Path,
) -> None:
    router, log = routed(tmp_path, max_bytes=20_000, backups=1000)

    def ask(number: int) -> None:
        router.call("chat-completion", lambda model: number)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ask, range(400)))
    log.close()
    files = list(tmp_path.iterdir())
    told = [each for file in files for each in lines(file)]
    assert sum(each["record"] == "decision" for each in told) == 400
    assert len(files) > 5
    assert all(file.stat().st_size <= 20_000 for file in files)


def test_only_so_many_older_files_are_kept_the_newest_first(tmp_path: Path) -> None:
    router, log = routed(tmp_path, max_bytes=1, backups=2)
    for _ in range(5):
        router.call("chat-completion", lambda model: model.name)
    log.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "log.jsonl",
        "log.jsonl.1",
        "log.jsonl.2",
    ]


def test_without_older_files_the_log_begins_anew(tmp_path: Path) -> None:
    router, log = routed(tmp_path, max_bytes=1, backups=0)
    router.call("chat-completion", lambda model: model.name)
    router.call("chat-completion", lambda model: model.name)
    log.close()
    assert [each["record"] for each in lines(log.path)] == ["decision"]
    assert len(list(tmp_path.iterdir())) == 1


def test_half_a_line_of_a_process_that_was_killed_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"record": "ev')
    router, log = routed(tmp_path)
    router.pool("chat-completion")
    router.deactivate("a/x")
    log.close()
    half, *rest = log.path.read_text().splitlines()
    assert half == '{"record": "ev'
    assert "model_deactivated" in [json.loads(line)["type"] for line in rest]


def test_disk_that_is_full_stops_no_request() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no device that is always full")
    with JsonLines(full, max_bytes=None) as log:
        router = CapabilityRouter(observability=[log])
        router.register(Model("a/x", ("chat-completion",)))
        assert router.call("chat-completion", lambda model: model.name) == "x"
    _, error = router.emitter.failures[-1]
    assert isinstance(error, OSError)


def test_log_holds_no_words_of_the_request_and_no_key(tmp_path: Path) -> None:
    router, log = routed(tmp_path)

    def refuse(model: Model) -> str:
        raise RuntimeError(f"{model.name}: sk-canary-0123456789abcdef said my secret prompt")

    with pytest.raises(Exception, match=r".*"):
        router.call("chat-completion", refuse)
    log.close()
    text = log.path.read_text()
    assert "canary" not in text
    assert "secret prompt" not in text


def test_number_out_of_range_is_refused_and_no_file_is_made(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="max_bytes 0 must"):
        JsonLines(tmp_path / "log.jsonl", max_bytes=0)
    with pytest.raises(ValueError, match="backups -1 must"):
        JsonLines(tmp_path / "log.jsonl", backups=-1)
    assert not (tmp_path / "log.jsonl").exists()


def test_connector_that_comes_later_is_told_from_then_on(tmp_path: Path) -> None:
    router = CapabilityRouter()
    router.register(Model("a/x", ("chat-completion",)))
    router.call("chat-completion", lambda model: model.name)
    with JsonLines(tmp_path / "log.jsonl") as log:
        router.observe(log)
        router.call("chat-completion", lambda model: model.name)
    assert [each["record"] for each in lines(log.path)] == ["decision"]
