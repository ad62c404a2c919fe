"""Space that makes a body as large as wanted, in blocks, so that nobody has to hold it.

The text of an answer gets one character as a mark, and the space goes there once the answer has
been written as JSON. Space is the one filling that leaves a text in JSON mode valid.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

__all__ = [
    "PLACE",
    "PLACE_IN_JSON",
    "blocks",
]

# Of a private use area: no text means anything by it.
PLACE = "\ue000"
PLACE_IN_JSON = json.dumps(PLACE).strip('"')

_BLOCK = 65536


def blocks(size: int) -> Iterator[str]:
    """Give as many spaces as wanted, a block at a time."""
    for left in range(size, 0, -_BLOCK):
        yield " " * min(left, _BLOCK)
