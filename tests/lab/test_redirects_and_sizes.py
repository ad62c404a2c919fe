"""Answers that lead elsewhere, and answers that are far too large."""

from collections.abc import Callable

import httpx
import openai
import pytest

from capability_router.lab import Lab, LabProvider, oversized, redirect
from tests.lab.asking import HELLO, chat, chunks, post, text_of

Client = Callable[[LabProvider], openai.OpenAI]

SAID = f"alpha echoes: {HELLO}"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("stream", [False, True])
def test_redirect_leads_to_the_same_address(
    provider_lab: Lab, raw: httpx.Client, status: int, stream: bool
) -> None:
    provider_lab["alpha"].fault = redirect(status)
    response = post(raw, provider_lab["alpha"], chat(stream=stream))
    assert (response.status_code, response.content) == (status, b"")
    assert response.headers["location"] == "/v1/chat/completions"
    assert response.next_request is not None
    assert response.next_request.url == response.url


def test_client_that_follows_finds_no_end(provider_lab: Lab, openai_client: Client) -> None:
    provider = provider_lab["alpha"]
    provider.fault = redirect()
    with pytest.raises(openai.APIConnectionError):
        openai_client(provider).chat.completions.create(**chat())
    assert provider.request_count > 10


def test_redirect_may_lead_to_another_provider(provider_lab: Lab, openai_client: Client) -> None:
    elsewhere = f"{provider_lab['beta'].base_url}/chat/completions"
    provider_lab["alpha"].fault = redirect(308, elsewhere)
    reply = openai_client(provider_lab["alpha"]).chat.completions.create(**chat())
    assert reply.choices[0].message.content == f"beta echoes: {HELLO}"


@pytest.mark.parametrize("size", [10_000, 3_000_000])
def test_whole_body_is_as_large_as_wanted_and_valid(
    provider_lab: Lab, raw: httpx.Client, size: int
) -> None:
    provider_lab["alpha"].script(oversized(size))
    response = post(raw, provider_lab["alpha"])
    assert len(response.content) == int(response.headers["content-length"]) == size
    text = response.json()["choices"][0]["message"]["content"]
    assert text.rstrip(" ") == SAID
    assert len(text) > size - 1000


@pytest.mark.parametrize("size", [10_000, 3_000_000])
def test_stream_is_at_least_as_large_as_wanted_and_valid(
    provider_lab: Lab, raw: httpx.Client, size: int
) -> None:
    provider_lab["alpha"].script(oversized(size))
    response = post(raw, provider_lab["alpha"], chat(stream=True))
    assert len(response.content) >= size
    text = text_of(chunks(response))
    assert text == SAID + " " * size


def test_answer_that_is_larger_anyhow_stays_as_it_is(provider_lab: Lab, raw: httpx.Client) -> None:
    provider_lab["alpha"].script(oversized(1))
    assert post(raw, provider_lab["alpha"]).json()["choices"][0]["message"]["content"] == SAID


def test_body_without_a_text_is_padded_too(provider_lab: Lab, raw: httpx.Client) -> None:
    body = {"model": "m", "input": "hi"}
    healthy = post(raw, provider_lab["alpha"], body, "/embeddings").json()
    provider_lab["alpha"].script(oversized(100_000))
    padded = post(raw, provider_lab["alpha"], body, "/embeddings")
    assert len(padded.content) == 100_000
    assert padded.json() == healthy
