"""Streams of named events, read strictly."""

import json
from typing import Any

import httpx


def named_events(response: httpx.Response) -> list[dict[str, Any]]:
    """Return the payloads of a finished stream; each event has its name on a line before them."""
    *events, end = response.text.split("\n\n")
    assert end == ""
    payloads: list[dict[str, Any]] = []
    for event in events:
        name, data = event.split("\n")
        payload = json.loads(data.removeprefix("data: "))
        assert name == f"event: {payload['type']}"
        payloads.append(payload)
    return payloads
