"""The command that a newcomer runs first."""

from tests.cli.running import run, run_json


def test_every_request_is_answered_whatever_breaks() -> None:
    code, told = run_json("demo")
    assert code == 0
    assert told["answered"] == told["requests"] == 20
    tried = [step["decisions"][0]["attempts"] for step in told["steps"]]
    assert [[attempt["model"], attempt["kind"]] for attempt in (each[0] for each in tried)] == [
        ["alpha/chat", None],
        ["alpha/chat", "rate_limited"],
        ["beta/chat", "server_error"],
        ["alpha/chat", None],
        ["alpha/chat", "timeout"],
        ["alpha/chat", None],
    ]
    away = [sum(state != "active" for state in step["states"].values()) for step in told["steps"]]
    assert (away[0], away[1], away[2]) == (0, 1, 2)


def test_it_can_be_read_by_people() -> None:
    code, shown = run("demo")
    assert code == 0
    assert "request → beta/chat  after alpha/chat: rate_limited" in shown
    assert "20 of 20 requests were answered." in shown
