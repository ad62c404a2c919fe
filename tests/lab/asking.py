"""Requests that the tests of the lab send."""

import json
from collections.abc import Mapping
from typing import Any

import httpx

from capability_router.lab import LabProvider

HELLO = "one two three four"


def chat(text: str = HELLO, **fields: object) -> dict[str, Any]:
    """Make the body of a chat request."""
    return {"model": "some-model", "messages": [{"role": "user", "content": text}], **fields}


def post(
    client: httpx.Client,
    provider: LabProvider,
    body: Mapping[str, object] | None = None,
    path: str = "/chat/completions",
) -> httpx.Response:
    """Send a request, by default one for a plain chat completion."""
    return client.post(f"{provider.base_url}{path}", json=chat() if body is None else body)


def stream_lines(response: httpx.Response) -> list[str]:
    """Return the payloads of a finished stream."""
    lines = [line for line in response.text.split("\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    return [line.removeprefix("data: ") for line in lines]


def chunks(response: httpx.Response) -> list[dict[str, Any]]:
    """Return the parsed chunks of a finished stream, which has to end with ``[DONE]``."""
    *payloads, last = stream_lines(response)
    assert last == "[DONE]"
    return [json.loads(payload) for payload in payloads]


def text_of(parsed: list[dict[str, Any]]) -> str:
    """Join the text of a stream's chunks."""
    choices = [choice for chunk in parsed for choice in chunk["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)
