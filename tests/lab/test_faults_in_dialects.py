"""Faults within an answer that begins well, in every dialect that has them."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from capability_router.lab import (
    Fault,
    Lab,
    LabProvider,
    cut_stream,
    duplicate_finish,
    empty_answer,
    filtered,
    late_first_token,
    malformed_chunk,
    no_done,
    no_usage,
    oversized,
    pings,
    silent_stream,
)

HEADERS = {"x-api-key": "any", "anthropic-version": "2023-06-01"}
SAID = "alpha echoes: hi there"
ASKED = [{"role": "user", "content": "hi there"}]
Payload = dict[str, Any]


@dataclass(frozen=True)
class Dialect:
    """How an endpoint is asked, and where its answers have what every answer has."""

    path: str
    body: Payload
    text: Callable[[Payload], str]
    reason: Callable[[Payload], str | None]
    part: Callable[[Payload], str]
    last: str
    """Type of the last event, ``[DONE]`` for OpenAI's mark."""
    finish: str = ""
    """Type of the event with the finish reason, empty where the chunks have no types."""
    reasons: tuple[str, str] = ("stop", "content_filter")

    def ask(self, raw: httpx.Client, provider: LabProvider, **fields: Any) -> httpx.Response:
        return raw.post(f"{provider.base_url}{self.path}", json=self.body | fields, headers=HEADERS)

    def streamed_text(self, events: Sequence[Payload]) -> str:
        return "".join(self.part(event) for event in events)


def _choice(payload: Payload) -> Payload:
    choices = payload.get("choices") or [{}]
    found: Payload = choices[0]
    return found


def _response_text(payload: Payload) -> str:
    parts = [part for item in payload["output"] for part in item["content"]]
    return "".join(part["text"] for part in parts)


def _response_reason(payload: Payload) -> str:
    details = payload["incomplete_details"]
    return str(details["reason"] if details else payload["status"])


def _message_text(payload: Payload) -> str:
    return "".join(block["text"] for block in payload["content"])


def _message_part(event: Payload) -> str:
    return str(event["delta"]["text"]) if event["type"] == "content_block_delta" else ""


DIALECTS = [
    Dialect(
        "/chat/completions",
        {"model": "m", "messages": ASKED},
        lambda payload: _choice(payload)["message"]["content"],
        lambda payload: _choice(payload)["finish_reason"],
        lambda event: _choice(event).get("delta", {}).get("content", ""),
        "[DONE]",
    ),
    Dialect(
        "/completions",
        {"model": "m", "prompt": "hi there"},
        lambda payload: _choice(payload)["text"],
        lambda payload: _choice(payload)["finish_reason"],
        lambda event: _choice(event).get("text", ""),
        "[DONE]",
    ),
    Dialect(
        "/responses",
        {"model": "m", "input": "hi there"},
        _response_text,
        _response_reason,
        lambda event: event["delta"] if event["type"] == "response.output_text.delta" else "",
        "response.completed",
        "response.completed",
        ("completed", "content_filter"),
    ),
    Dialect(
        "/messages",
        {"model": "m", "max_tokens": 50, "messages": ASKED},
        _message_text,
        lambda payload: payload["stop_reason"],
        _message_part,
        "message_stop",
        "message_delta",
        ("end_turn", "refusal"),
    ),
]
every_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=[each.path for each in DIALECTS])


def data_lines(response: httpx.Response) -> list[str]:
    lines = response.text.split("\n")
    return [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]


def streamed(
    raw: httpx.Client, provider: LabProvider, dialect: Dialect, fault: Fault
) -> tuple[list[Payload], str]:
    """Return the events of a stream but for ``[DONE]``, and what came last."""
    provider.script(fault)
    lines = data_lines(dialect.ask(raw, provider, stream=True))
    events = [json.loads(line) for line in lines if line != "[DONE]"]
    return events, lines[-1] if lines[-1] == "[DONE]" else events[-1].get("type", "chunk")


@every_dialect
@pytest.mark.parametrize(
    "fault",
    [
        late_first_token(0.02),
        silent_stream(2, seconds=0.02),
        pings(0.02, every=0.01),
        no_usage(),
        duplicate_finish(),
        no_done(),
        filtered(99),
    ],
    ids=str,
)
def test_text_is_complete_whole_and_streamed(
    provider_lab: Lab, raw: httpx.Client, dialect: Dialect, fault: Fault
) -> None:
    provider = provider_lab["alpha"]
    events, _ = streamed(raw, provider, dialect, fault)
    assert dialect.streamed_text(events) == SAID
    provider.script(fault)
    assert dialect.text(dialect.ask(raw, provider).json()) == SAID


@every_dialect
def test_stream_ends_as_ever_but_for_the_mark_of_its_end(
    provider_lab: Lab, raw: httpx.Client, dialect: Dialect
) -> None:
    provider = provider_lab["alpha"]
    assert streamed(raw, provider, dialect, late_first_token(0))[1] == dialect.last
    events, last = streamed(raw, provider, dialect, no_done())
    if dialect.finish:
        assert last == dialect.finish
    else:
        assert (last, _choice(events[-1])["finish_reason"]) == ("chunk", "stop")


@every_dialect
def test_finish_reason_comes_twice(provider_lab: Lab, raw: httpx.Client, dialect: Dialect) -> None:
    events, last = streamed(raw, provider_lab["alpha"], dialect, duplicate_finish())
    finishes = [
        event
        for event in events
        if (event["type"] == dialect.finish if dialect.finish else _choice(event)["finish_reason"])
    ]
    assert len(finishes) == 2
    assert finishes[0] == finishes[1]
    assert last == dialect.last


@every_dialect
def test_usage_is_nowhere(provider_lab: Lab, raw: httpx.Client, dialect: Dialect) -> None:
    provider = provider_lab["alpha"]
    assert "usage" in dialect.ask(raw, provider).text
    for stream in (False, True):
        provider.script(no_usage())
        assert "usage" not in dialect.ask(raw, provider, stream=stream).text


@every_dialect
@pytest.mark.parametrize(
    ("fault", "text", "is_filtered"),
    [(empty_answer(), "", 0), (filtered(), "", 1), (filtered(2), "alpha echoes:", 1)],
    ids=str,
)
def test_answer_says_why_it_says_less(
    provider_lab: Lab,
    raw: httpx.Client,
    dialect: Dialect,
    fault: Fault,
    text: str,
    is_filtered: int,
) -> None:
    provider = provider_lab["alpha"]
    provider.script(fault)
    reply = dialect.ask(raw, provider).json()
    assert (dialect.text(reply), dialect.reason(reply)) == (text, dialect.reasons[is_filtered])
    events, _ = streamed(raw, provider, dialect, fault)
    assert dialect.streamed_text(events) == text
    assert f'"{dialect.reasons[is_filtered]}"' in json.dumps(events[-2:])


@every_dialect
def test_broken_line_in_addition_takes_no_text(
    provider_lab: Lab, raw: httpx.Client, dialect: Dialect
) -> None:
    provider = provider_lab["alpha"]
    provider.script(malformed_chunk(2, extra=True))
    good, bad = [], []
    for line in data_lines(dialect.ask(raw, provider, stream=True)):
        try:
            good.append(json.loads(line))
        except ValueError:
            bad.append(line)
    bad = [line for line in bad if line != "[DONE]"]
    assert len(bad) == 1
    assert dialect.streamed_text(good) == SAID
    provider.script(malformed_chunk(extra=True))
    reply, end = json.JSONDecoder().raw_decode(text := dialect.ask(raw, provider).text)
    assert dialect.text(reply) == SAID
    assert text[end:] == text[: len(text) - end]


@every_dialect
def test_oversized_answers_are_valid(
    provider_lab: Lab, raw: httpx.Client, dialect: Dialect
) -> None:
    provider = provider_lab["alpha"]
    events, last = streamed(raw, provider, dialect, oversized(300_000))
    assert dialect.streamed_text(events) == SAID + " " * 300_000
    assert last == dialect.last
    provider.script(oversized(300_000))
    response = dialect.ask(raw, provider)
    assert len(response.content) == 300_000
    assert dialect.text(response.json()).rstrip(" ") == SAID


@every_dialect
def test_signs_of_life_come_first(provider_lab: Lab, raw: httpx.Client, dialect: Dialect) -> None:
    provider = provider_lab["alpha"]
    provider.script(pings(0.03, every=0.01))
    text = dialect.ask(raw, provider, stream=True).text
    first_word, pinged = text.index('"alpha"'), text.index(": ping\n\n")
    assert pinged < first_word
    assert ": ping\n\n" not in text[first_word:]
    provider.script(pings(0.03, every=0.01))
    assert dialect.ask(raw, provider).text.startswith("\n\n\n")


SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "pages": {"type": "integer"}},
    "required": ["title", "pages"],
}
WANTED = [{"role": "user", "content": "file_report"}]
FUNCTION = {"name": "file_report", "parameters": SCHEMA}
CALLING: dict[str, Payload] = {
    "/chat/completions": {
        "messages": WANTED,
        "tools": [{"type": "function", "function": FUNCTION}],
    },
    "/responses": {"input": "file_report", "tools": [{"type": "function", **FUNCTION}]},
    "/messages": {
        "messages": WANTED,
        "tools": [{"name": "file_report", "input_schema": SCHEMA}],
    },
}


def _arguments(event: Payload) -> str:
    delta = event.get("delta")
    if isinstance(delta, str):
        return delta
    calls = _choice(event).get("delta", {}).get("tool_calls", ())
    given = "".join(call["function"]["arguments"] for call in calls)
    return given + str((delta or {}).get("partial_json", ""))


@pytest.mark.parametrize("path", CALLING)
def test_stream_is_cut_within_the_arguments_of_a_tool_call(
    provider_lab: Lab, raw: httpx.Client, path: str
) -> None:
    (dialect,) = [each for each in DIALECTS if each.path == path]
    provider = provider_lab["alpha"]
    lines = data_lines(dialect.ask(raw, provider, stream=True, **CALLING[path]))
    told = [_arguments(json.loads(line)) for line in lines if line != "[DONE]"]
    parts = [part for part in told if part]
    assert json.loads("".join(parts)) == {"title": "text", "pages": 0}
    assert len(parts) >= 3
    for after in range(len(parts)):
        # A chat has the name of the function in a chunk of its own.
        provider.script(cut_stream(after + (path == "/chat/completions"), "close"))
        lines = data_lines(dialect.ask(raw, provider, stream=True, **CALLING[path]))
        assert "".join(_arguments(json.loads(line)) for line in lines) == "".join(parts[:after])
