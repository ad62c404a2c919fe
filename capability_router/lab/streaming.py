"""Sends the events of a stream the way its fault wants it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from capability_router.lab.exchanges import Part, StreamEvent
from capability_router.lab.faults import FaultKind
from capability_router.lab.json_values import as_mapping, parsed
from capability_router.lab.padding import PLACE_IN_JSON, blocks
from capability_router.lab.turns import Turn
from capability_router.lab.usage import without_usage

__all__ = [
    "send_stream",
]

_Events = Iterator[StreamEvent]


def send_stream(turn: Turn, headers: Mapping[str, str], events: _Events) -> None:
    """Send a whole stream, or what its fault leaves of it.

    Raises:
        OSError: If the client leaves or the provider is stopped.
    """
    connection = turn.connection
    connection.start_stream(headers, turn.framing)
    play = _FAULTS.get(turn.fault.kind, _paced)
    for event in play(turn, events):
        connection.send_event(event.data, event.name)
    if not connection.is_cut:
        connection.end()


def _paced(turn: Turn, events: _Events) -> _Events:
    for event in events:
        if event.is_content and turn.fault.seconds_per_chunk:
            turn.pause(turn.fault.seconds_per_chunk)
        yield event


def _cut(turn: Turn, events: _Events) -> _Events:
    for breaks, event in _with_break(turn, events):
        if breaks:
            turn.connection.cut()
            return
        yield event


def _paused(turn: Turn, events: _Events) -> _Events:
    for breaks, event in _with_break(turn, events):
        if breaks:
            turn.pause(turn.fault.seconds)
        yield event


def _pinged(turn: Turn, events: _Events) -> _Events:
    for breaks, event in _with_break(turn, events):
        if breaks:
            for _ in turn.beats():
                turn.connection.send_part(b": ping\n\n")
        yield event


def _malformed(turn: Turn, events: _Events) -> _Events:
    for breaks, event in _with_break(turn, events):
        if breaks:
            yield replace(event, data=event.data[: len(event.data) // 2])
        if turn.fault.extra or not breaks:
            yield event


def _with_break(turn: Turn, events: _Events) -> Iterator[tuple[bool, StreamEvent]]:
    """Mark the event before which a stream breaks: the content chunk after so many.

    An answer shorter than that breaks before its end, so that no broken one is ever complete.
    """
    sent, broken = 0, False
    for event in events:
        is_due = event.is_ending or (event.is_content and sent >= turn.fault.after)
        yield is_due and not broken, event
        broken = broken or is_due
        sent += event.is_content


def _without_end(turn: Turn, events: _Events) -> _Events:
    return (event for event in events if event.part is not Part.END)


def _without_usage(turn: Turn, events: _Events) -> _Events:
    for event in events:
        if event.part is Part.END:
            yield event
        elif event.part is not Part.USAGE:
            told = without_usage(as_mapping(parsed(event.data)) or {})
            yield replace(event, data=json.dumps(told))


def _finished_twice(turn: Turn, events: _Events) -> _Events:
    for event in events:
        yield event
        if event.part is Part.FINISH:
            yield event


def _padded(turn: Turn, events: _Events) -> _Events:
    for event in events:
        if event.is_content and PLACE_IN_JSON in event.data:
            for block in blocks(turn.fault.size_bytes):
                yield replace(event, data=event.data.replace(PLACE_IN_JSON, block))
        else:
            # Some events repeat the whole text; they are spared the space.
            yield replace(event, data=event.data.replace(PLACE_IN_JSON, ""))


_FAULTS: Mapping[FaultKind, Callable[[Turn, _Events], _Events]] = {
    FaultKind.CUT_STREAM: _cut,
    FaultKind.SILENT_STREAM: _paused,
    FaultKind.LATE_FIRST_TOKEN: _paused,
    FaultKind.PINGS: _pinged,
    FaultKind.MALFORMED_CHUNK: _malformed,
    FaultKind.NO_DONE: _without_end,
    FaultKind.NO_USAGE: _without_usage,
    FaultKind.DUPLICATE_FINISH: _finished_twice,
    FaultKind.OVERSIZED: _padded,
}
