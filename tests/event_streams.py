"""Messages of the binary event stream in which Bedrock answers."""

import json
import struct
import zlib
from typing import Any


def event(name: str, payload: dict[str, Any]) -> bytes:
    """Return one event."""
    return _message({":message-type": "event", ":event-type": name}, payload)


def exception(name: str, payload: dict[str, Any]) -> bytes:
    """Return an error in the place of an event."""
    return _message({":message-type": "exception", ":exception-type": name}, payload)


def _message(headers: dict[str, str], payload: dict[str, Any]) -> bytes:
    fields = {**headers, ":content-type": "application/json"}
    head = b"".join(_header(name, value) for name, value in fields.items())
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(head) + len(body), len(head))
    checked = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + body
    return checked + struct.pack(">I", zlib.crc32(checked))


def _header(name: str, value: str) -> bytes:
    # 7 is the type of a text.
    return (
        struct.pack(f">B{len(name)}sBH", len(name), name.encode(), 7, len(value)) + value.encode()
    )
