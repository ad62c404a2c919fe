"""Silence in several formats, made in code, and whether some bytes are a sound.

All are mono. The length is rounded to whole samples, or up to whole frames.
"""

from __future__ import annotations

import io
import math
import struct
import wave
from collections.abc import Iterator

__all__ = [
    "is_sound",
    "mp3",
    "opus",
    "pcm",
    "seconds_of",
    "wav",
]

_RATE = 24_000

# MPEG-1 layer III at 32 kbit/s and 44.1 kHz; a frame whose side information is all zero is silent.
_MP3_FRAME = b"\xff\xfb\x10\xc4".ljust(104, b"\0")
_MP3_FRAME_SECONDS = 1152 / 44_100
_BYTES_PER_SECOND = 4_000

# A packet of 20 ms that the decoder fills with silence; Ogg counts time at 48 kHz.
_OPUS_PACKET = b"\xf8\xff\xfe"
_OPUS_PACKET_SECONDS = 0.02
_OPUS_PACKET_TICKS = 960
_OPUS_DELAY_TICKS = 312
_PACKETS_PER_PAGE = 255


def pcm(seconds: float = 0.1) -> bytes:
    """Make bare samples: signed, 16 bits, little-endian, 24 kHz, as OpenAI's ``pcm``."""
    return bytes(2 * round(seconds * _RATE))


def wav(seconds: float = 0.1) -> bytes:
    """Make a WAV file of the samples of :func:`pcm`."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(_RATE)
        sound.writeframes(pcm(seconds))
    return file.getvalue()


def mp3(seconds: float = 0.1) -> bytes:
    """Make MP3 frames of 26 ms each."""
    return _MP3_FRAME * max(1, math.ceil(seconds / _MP3_FRAME_SECONDS))


def opus(seconds: float = 0.1) -> bytes:
    """Make an Ogg file of Opus packets of 20 ms each."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, _OPUS_DELAY_TICKS, _RATE, 0, 0)
    tags = b"OpusTags" + struct.pack("<I3sI", 3, b"lab", 0)
    packets = max(1, math.ceil(seconds / _OPUS_PACKET_SECONDS))
    pages = [(head, 1, 2, 0), (tags, 1, 0, 0), *_opus_pages(packets)]
    return b"".join(_page(number, *page) for number, page in enumerate(pages))


def is_sound(content: bytes) -> bool:
    """Tell by the first bytes whether they are one of the formats OpenAI transcribes."""
    return (
        content.startswith((b"ID3", b"OggS", b"fLaC", b"\x1a\x45\xdf\xa3"))
        or (content[:4] == b"RIFF" and content[8:12] == b"WAVE")
        or content[4:8] == b"ftyp"
        or (content[:1] == b"\xff" and content[1:2] >= b"\xe0")
    )


def seconds_of(content: bytes) -> float:
    """Tell how long a sound is: a WAV file by its header, another as if it had 32 kbit/s."""
    try:
        with wave.open(io.BytesIO(content)) as sound:
            frames: int = sound.getnframes()
            return frames / int(sound.getframerate())
    except (wave.Error, EOFError):
        return len(content) / _BYTES_PER_SECOND


def _opus_pages(packets: int) -> Iterator[tuple[bytes, int, int, int]]:
    for first in range(0, packets, _PACKETS_PER_PAGE):
        count = min(_PACKETS_PER_PAGE, packets - first)
        last = first + count == packets
        ticks = _OPUS_DELAY_TICKS + (first + count) * _OPUS_PACKET_TICKS
        yield _OPUS_PACKET * count, count, 4 if last else 0, ticks


def _page(number: int, content: bytes, packets: int, flags: int, ticks: int) -> bytes:
    """Make an Ogg page of packets of equal length."""
    lengths = bytes([len(content) // packets]) * packets
    head = struct.pack("<4sBBqIII", b"OggS", 0, flags, ticks, 1, number, 0)
    page = head + bytes([packets]) + lengths + content
    return page[:22] + struct.pack("<I", _ogg_checksum(page)) + page[26:]


def _ogg_checksum(page: bytes) -> int:
    """Compute the CRC-32 of Ogg, whose bits run the other way than those of ``zlib.crc32``."""
    total = 0
    for byte in page:
        total ^= byte << 24
        for _ in range(8):
            total = (total << 1) ^ (0x04C11DB7 if total & 0x80000000 else 0)
            total &= 0xFFFFFFFF
    return total
