"""A whole answer on its way to the client, whatever it is made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = [
    "Reply",
    "json_reply",
]


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer with status 200.

    Attributes:
        body: The whole body.
        content_type: Its media type.
        source: Who really made it; the header ``x-lab-answers`` says so.
    """

    body: bytes
    content_type: str
    source: str


def json_reply(payload: Mapping[str, object], source: str) -> Reply:
    """Make an answer of JSON."""
    return Reply(json.dumps(payload).encode(), "application/json", source)
