"""Sends a whole body the way its fault wants it: the nearest to what it does to a stream."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus

from capability_router.lab.faults import FaultKind
from capability_router.lab.json_values import as_mapping, parsed
from capability_router.lab.padding import PLACE_IN_JSON, blocks
from capability_router.lab.replies import Reply
from capability_router.lab.turns import Turn
from capability_router.lab.usage import without_usage

__all__ = [
    "send_whole",
    "source_header",
]


def source_header(source: str) -> dict[str, str]:
    """Say who really made an answer."""
    return {"x-lab-answers": source}


def send_whole(turn: Turn, reply: Reply) -> None:
    """Send a whole body, or what its fault leaves of it.

    Raises:
        OSError: If the client leaves or the provider is stopped.
    """
    _FAULTS.get(turn.fault.kind, _sent)(turn, reply)


def _sent(turn: Turn, reply: Reply) -> None:
    headers = source_header(reply.source)
    turn.connection.send(HTTPStatus.OK, reply.body, reply.content_type, headers)


def _cut(turn: Turn, reply: Reply) -> None:
    half = reply.body[: len(reply.body) // 2]
    if turn.framing == "close":
        turn.connection.start(reply.content_type, source_header(reply.source), "close")
        turn.connection.send_part(half)
    else:
        _begin(turn, reply, len(half), len(reply.body))
    turn.connection.cut()


def _silent(turn: Turn, reply: Reply) -> None:
    _paused_at(turn, reply, len(reply.body) // 2)


def _late(turn: Turn, reply: Reply) -> None:
    _paused_at(turn, reply, 0)


def _paused_at(turn: Turn, reply: Reply, place: int) -> None:
    _begin(turn, reply, place, len(reply.body))
    turn.pause(turn.fault.seconds)
    turn.connection.write(reply.body[place:])


def _begin(turn: Turn, reply: Reply, sent: int, size: int) -> None:
    headers = source_header(reply.source)
    turn.connection.begin(reply.content_type, headers, size)
    turn.connection.write(reply.body[:sent])


def _pinged(turn: Turn, reply: Reply) -> None:
    connection = turn.connection
    connection.start(reply.content_type, source_header(reply.source), turn.framing)
    for _ in turn.beats():
        connection.send_part(b"\n")
    connection.send_part(reply.body)
    connection.end()


def _malformed(turn: Turn, reply: Reply) -> None:
    half = reply.body[: len(reply.body) // 2]
    _sent(turn, replace(reply, body=reply.body + half if turn.fault.extra else half))


def _without_usage(turn: Turn, reply: Reply) -> None:
    payload = as_mapping(parsed(reply.body)) if reply.content_type == "application/json" else None
    body = reply.body if payload is None else json.dumps(without_usage(payload)).encode()
    _sent(turn, replace(reply, body=body))


def _padded(turn: Turn, reply: Reply) -> None:
    # Where there is no text to pad, the space follows the body.
    before, _, after = reply.body.partition(PLACE_IN_JSON.encode())
    missing = max(0, turn.fault.size_bytes - len(before) - len(after))
    size = len(before) + missing + len(after)
    _begin(turn, replace(reply, body=before), len(before), size)
    for block in blocks(missing):
        turn.connection.write(block.encode())
    turn.connection.write(after)


_FAULTS: Mapping[FaultKind, Callable[[Turn, Reply], None]] = {
    FaultKind.CUT_STREAM: _cut,
    FaultKind.SILENT_STREAM: _silent,
    FaultKind.LATE_FIRST_TOKEN: _late,
    FaultKind.PINGS: _pinged,
    FaultKind.MALFORMED_CHUNK: _malformed,
    FaultKind.NO_USAGE: _without_usage,
    FaultKind.OVERSIZED: _padded,
}
