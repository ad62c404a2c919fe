"""What providers make of a conversation that ends with a message of the assistant."""

from typing import Any

import httpx
import pytest

from capability_router.lab import Lab, LabProvider
from tests.lab.asking import HELLO, chat, chunks, post, text_of

HEADERS = {"x-api-key": "any", "anthropic-version": "2023-06-01"}
REFUSED = (
    "This model does not support assistant message prefill. The conversation must end with a user"
    " message."
)


def begun(beginning: str, text: str = HELLO, **fields: object) -> dict[str, Any]:
    body = chat(text, **fields)
    body["messages"].append({"role": "assistant", "content": beginning})
    return body


def said(raw: httpx.Client, provider: LabProvider, body: dict[str, Any]) -> str:
    """Ask for a whole answer and a stream, which have to say the same."""
    text = post(raw, provider, body).json()["choices"][0]["message"]["content"]
    assert text_of(chunks(post(raw, provider, body | {"stream": True}))) == text
    return str(text)


TEXT = "one  two\nthree, fourteen "
FULL = f"beta echoes: {TEXT}"


@pytest.mark.parametrize("end", range(4, len(FULL) + 1))
def test_beginning_and_continuation_are_the_full_answer_wherever_it_was_cut(
    provider_lab: Lab, raw: httpx.Client, end: int
) -> None:
    beginning = FULL[:end]
    for name in ("alpha", "beta"):
        going_on = post(raw, provider_lab[name], begun(beginning, TEXT)).json()
        assert beginning + going_on["choices"][0]["message"]["content"] == FULL


def test_stripped_beginning_gets_its_space_back(provider_lab: Lab, raw: httpx.Client) -> None:
    assert said(raw, provider_lab["alpha"], begun("beta echoes: one", TEXT)) == TEXT[3:]


@pytest.mark.parametrize(
    ("prefill", "text"),
    [
        ("continue", " two three four"),
        ("echo", "beta echoes: one two three four"),
        ("restart", "alpha echoes: one two three four"),
    ],
)
def test_provider_meets_a_prefill_in_its_own_way(
    provider_lab: Lab, raw: httpx.Client, prefill: Any, text: str
) -> None:
    provider_lab["alpha"].prefill = prefill
    assert said(raw, provider_lab["alpha"], begun("beta echoes: one")) == text
    assert said(raw, provider_lab["alpha"], chat()) == f"alpha echoes: {HELLO}"


@pytest.mark.parametrize("stream", [False, True])
def test_provider_that_takes_no_prefill_says_so(
    provider_lab: Lab, raw: httpx.Client, stream: bool
) -> None:
    provider = provider_lab["alpha"]
    provider.prefill = "refuse"
    response = post(raw, provider, begun("alpha", stream=stream))
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["type"], error["message"]) == ("invalid_request_error", REFUSED)
    assert post(raw, provider, chat(stream=stream)).status_code == 200
    message = begun("alpha", max_tokens=9, stream=stream)
    refusal = raw.post(f"{provider.base_url}/messages", json=message, headers=HEADERS)
    assert refusal.status_code == 400
    error = {"type": "invalid_request_error", "message": REFUSED}
    assert refusal.json() == {"type": "error", "error": error, "request_id": None}


@pytest.mark.parametrize(
    ("prefill", "text"),
    [("continue", " hi"), ("echo", "beta echoes: hi"), ("restart", "alpha echoes: hi")],
)
def test_messages_are_prefilled_in_the_same_ways(
    provider_lab: Lab, raw: httpx.Client, prefill: Any, text: str
) -> None:
    provider = provider_lab["alpha"]
    provider.prefill = prefill
    body = begun("beta echoes:", "hi", max_tokens=9)
    reply = raw.post(f"{provider.base_url}/messages", json=body, headers=HEADERS).json()
    assert reply["content"] == [{"type": "text", "text": text}]


@pytest.mark.parametrize("prefill", ["continue", "echo", "refuse", "restart"])
def test_responses_begin_anew_whatever_the_provider_makes_of_prefills(
    provider_lab: Lab, raw: httpx.Client, prefill: Any
) -> None:
    provider = provider_lab["alpha"]
    provider.prefill = prefill
    body = {"model": "m", "input": begun("alpha echoes:", "hi")["messages"]}
    reply = post(raw, provider, body, "/responses").json()
    assert reply["output"][0]["content"][0]["text"] == "alpha echoes: hi"


def test_space_at_the_end_of_an_earlier_answer_is_no_prefill(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    provider = provider_lab["alpha"]
    provider.prefill = "refuse"
    body = begun("so ", max_tokens=9)
    body["messages"].append({"role": "user", "content": "and then"})
    reply = raw.post(f"{provider.base_url}/messages", json=body, headers=HEADERS).json()
    assert reply["content"][0]["text"] == "alpha echoes: and then"


def test_reset_brings_the_default_back_and_healing_does_not(provider_lab: Lab) -> None:
    provider = provider_lab["alpha"]
    seen = [provider.prefill]
    provider.prefill = "echo"
    for step in (provider.heal, provider.reset):
        step()
        seen.append(provider.prefill)
    assert seen == ["continue", "echo", "continue"]


def test_unknown_way_is_refused_with_those_there_are(provider_lab: Lab) -> None:
    with pytest.raises(ValueError, match=r"continue, echo, refuse, restart; did you mean 'echo'"):
        provider_lab["alpha"].prefill = "echos"  # type: ignore[assignment]  # this is the mistake


def test_way_is_set_over_http(raw: httpx.Client) -> None:
    with Lab(["alpha"], answers="echo", control_port=0) as lab:
        url = f"{lab.control_url}/providers/alpha/prefill"
        assert raw.put(url, json="echo").json()["prefill"] == "echo"
        assert lab["alpha"].prefill == "echo"
        wrong = raw.put(url, json={"prefill": "echo"})
        assert wrong.status_code == 400
        assert "unknown prefill" in wrong.json()["error"]
