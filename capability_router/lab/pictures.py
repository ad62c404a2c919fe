"""Pictures of one colour, drawn in code, and what kind of picture some bytes are."""

from __future__ import annotations

import struct
import zlib

__all__ = [
    "picture_kind",
    "png",
]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png(width: int = 1, height: int = 1, colour: bytes = b"\x80\x80\x80") -> bytes:
    """Draw a picture of one colour; the same arguments give the same bytes.

    Args:
        width: Pixels, >= 1.
        height: Pixels, >= 1.
        colour: Red, green and blue, a byte each.
    """
    # A palette of one colour and a bit for each pixel: a large picture stays a few hundred bytes.
    header = struct.pack(">IIBBBBB", width, height, 1, 3, 0, 0, 0)
    row = bytes(1 + (width + 7) // 8)
    chunks = [
        (b"IHDR", header),
        (b"PLTE", colour),
        (b"IDAT", zlib.compress(row * height)),
        (b"IEND", b""),
    ]
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def picture_kind(content: bytes) -> str | None:
    """Tell ``png``, ``jpeg`` or ``webp`` by the first bytes, None for anything else."""
    if content.startswith(_SIGNATURE):
        return "png"
    if content.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    return "webp" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else None


def _chunk(kind: bytes, data: bytes) -> bytes:
    checked = kind + data
    return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))
