"""Faults within an answer that begins well, as a client of chat completions meets them."""

import json
from typing import Any

import httpx
import pytest

from capability_router.lab import (
    Fault,
    Lab,
    LabProvider,
    empty_answer,
    late_first_token,
    malformed_chunk,
    no_usage,
    pings,
    silent_stream,
)
from tests.lab.asking import HELLO, chat, chunks, post, stream_lines, text_of

SAID = f"alpha echoes: {HELLO}"
WITH_USAGE = {"stream": True, "stream_options": {"include_usage": True}}


def streamed(raw: httpx.Client, provider: LabProvider, fault: Fault) -> httpx.Response:
    provider.script(fault)
    return post(raw, provider, chat(stream=True))


def whole(raw: httpx.Client, provider: LabProvider, fault: Fault) -> dict[str, Any]:
    provider.script(fault)
    reply: dict[str, Any] = post(raw, provider).json()
    return reply


def test_late_first_token_holds_back_the_text_but_not_the_role(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    provider = provider_lab["alpha"]
    provider.script(late_first_token(3600))
    url = f"{provider.base_url}/chat/completions"
    with raw.stream("POST", url, json=chat(stream=True)) as response:
        lines = (line for line in response.iter_lines() if line)
        assert '"role": "assistant"' in next(lines)
        provider.heal()
        assert sum('"content"' in line for line in lines) == 6


def test_late_body_of_a_whole_answer_comes_long_after_its_headers(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    provider = provider_lab["alpha"]
    provider.script(late_first_token(3600))
    with raw.stream("POST", f"{provider.base_url}/chat/completions", json=chat()) as response:
        assert int(response.headers["content-length"]) > 0
        provider.heal()
        assert json.loads(response.read())["choices"][0]["message"]["content"] == SAID


@pytest.mark.parametrize("fault", [late_first_token(0.05), silent_stream(2, seconds=0.05)])
def test_answer_that_was_late_or_silent_for_a_time_is_complete(
    provider_lab: Lab, raw: httpx.Client, fault: Fault
) -> None:
    provider = provider_lab["alpha"]
    stream = streamed(raw, provider, fault)
    assert stream.elapsed.total_seconds() >= 0.05
    assert text_of(chunks(stream)) == SAID
    provider.script(fault)
    plain = post(raw, provider)
    assert plain.elapsed.total_seconds() >= 0.05
    assert plain.json()["choices"][0]["message"]["content"] == SAID


def test_extra_malformed_line_takes_nothing_from_the_stream(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    lines = stream_lines(streamed(raw, provider_lab["alpha"], malformed_chunk(2, extra=True)))
    assert len(lines) == len(stream_lines(streamed(raw, provider_lab["alpha"], no_usage()))) + 1
    bad = lines.pop(3)
    with pytest.raises(json.JSONDecodeError):
        json.loads(bad)
    assert lines.pop() == "[DONE]"
    assert text_of([json.loads(line) for line in lines]) == SAID


def test_usage_is_left_out_whole_and_streamed_also_where_it_was_asked_for(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    provider = provider_lab["alpha"]
    provider.script(no_usage())
    stream = post(raw, provider, chat() | WITH_USAGE)
    assert "usage" not in stream.text
    assert text_of(chunks(stream)) == SAID
    reply = whole(raw, provider, no_usage())
    assert "usage" not in reply
    assert reply["choices"][0]["message"]["content"] == SAID


def test_empty_answer_is_complete_and_says_nothing(provider_lab: Lab, raw: httpx.Client) -> None:
    reply = whole(raw, provider_lab["alpha"], empty_answer())
    (choice,) = reply["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("", "stop")
    assert reply["usage"]["completion_tokens"] == 0
    parsed = chunks(streamed(raw, provider_lab["alpha"], empty_answer()))
    assert [chunk["choices"][0]["finish_reason"] for chunk in parsed] == [None, "stop"]
    assert text_of(parsed) == ""


def test_pings_come_before_the_first_text_of_a_stream(provider_lab: Lab, raw: httpx.Client) -> None:
    response = streamed(raw, provider_lab["alpha"], pings(0.06, every=0.02))
    lines = [line for line in response.text.split("\n") if line]
    found = [index for index, line in enumerate(lines) if line == ": ping"]
    assert found == list(range(1, 1 + len(found)))
    assert len(found) >= 3
    assert text_of([json.loads(line[6:]) for line in lines[1 + len(found) : -1]]) == SAID


def test_blanks_come_before_a_whole_answer_which_is_json_all_the_same(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    provider_lab["alpha"].script(pings(0.06, every=0.02))
    response = post(raw, provider_lab["alpha"])
    assert len(response.text) - len(response.text.lstrip()) >= 3
    assert response.json()["choices"][0]["message"]["content"] == SAID


def test_healing_ends_the_pings(provider_lab: Lab, raw: httpx.Client) -> None:
    provider = provider_lab["alpha"]
    provider.script(pings(3600, every=0.01))
    url = f"{provider.base_url}/chat/completions"
    with raw.stream("POST", url, json=chat(stream=True)) as response:
        lines = response.iter_lines()
        assert any(line == ": ping" for line in lines)
        provider.heal()
        assert [line for line in lines if line][-1] == "data: [DONE]"
