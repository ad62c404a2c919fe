"""Embeddings made by hashing words: no meaning, but texts that share words are near each other."""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from collections.abc import Mapping, Sequence

from capability_router.lab.json_values import as_number, as_sequence
from capability_router.lab.questions import required_model
from capability_router.lab.refusals import invalid

__all__ = [
    "embeddings_reply",
    "hashed_vector",
]

_DEFAULT_DIMENSIONS = 64
_MAX_DIMENSIONS = 4096


def embeddings_reply(body: Mapping[str, object]) -> dict[str, object]:
    """Answer an embeddings request.

    Args:
        body: OpenAI's request: ``model``, ``input``, and optionally ``dimensions`` (64 by default)
            and ``encoding_format`` (``float`` by default, or ``base64``).

    Returns:
        OpenAI's reply with one unit vector per input, in order.

    Raises:
        RefusedError: With a 400, if a field is wrong.
    """
    model = required_model(body)
    texts = _texts(body.get("input"))
    dimensions = _dimensions(body.get("dimensions"))
    encoding = body.get("encoding_format", "float")
    if encoding not in ("float", "base64"):
        raise invalid("'encoding_format' must be 'float' or 'base64'.", "encoding_format")
    vectors = [hashed_vector(text, dimensions) for text in texts]
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": _base64(vector) if encoding == "base64" else vector,
        }
        for index, vector in enumerate(vectors)
    ]
    words = sum(len(text.split()) for text in texts)
    usage = {"prompt_tokens": words, "total_tokens": words}
    return {"object": "list", "data": data, "model": model, "usage": usage}


def hashed_vector(text: str, dimensions: int) -> list[float]:
    """Sum one pseudo-random direction per word; the same text gives the same vector everywhere.

    Args:
        text: Any text; case does not matter.
        dimensions: Length of the vector, >= 1.

    Returns:
        A vector of length one.
    """
    total = [0.0] * dimensions
    for word in text.lower().split() or [""]:
        total = [have + new for have, new in zip(total, _direction(word, dimensions), strict=True)]
    length = math.sqrt(sum(value * value for value in total)) or 1.0
    return [value / length for value in total]


def _direction(word: str, dimensions: int) -> list[float]:
    digest = hashlib.shake_256(word.encode()).digest(2 * dimensions)
    return [value / 32768 for value in struct.unpack(f"<{dimensions}h", digest)]


def _base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _texts(wanted: object) -> list[str]:
    if isinstance(wanted, str) and wanted:
        return [wanted]
    items = as_sequence(wanted)
    if not items:
        raise invalid("'input' must be a text or a non-empty list.", "input")
    if all(isinstance(item, int) for item in items):
        return [_tokens_text(items)]
    return [item if isinstance(item, str) else _tokens_text(as_sequence(item)) for item in items]


def _tokens_text(tokens: Sequence[object] | None) -> str:
    """Read token numbers as words: the lab has no tokenizer to turn them back with."""
    if not tokens or not all(isinstance(token, int) for token in tokens):
        raise invalid("'input' must hold texts or lists of token numbers.", "input")
    return " ".join(str(token) for token in tokens)


def _dimensions(wanted: object) -> int:
    if wanted is None:
        return _DEFAULT_DIMENSIONS
    number = as_number(wanted)
    if number is None or not 1 <= number <= _MAX_DIMENSIONS or number != int(number):
        raise invalid(f"'dimensions' must be 1 to {_MAX_DIMENSIONS}.", "dimensions")
    return int(number)
