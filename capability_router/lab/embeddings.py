"""The endpoint for embeddings, and vectors without meaning: texts that share words are near."""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Protocol

from capability_router.lab.json_values import as_sequence
from capability_router.lab.questions import required_model
from capability_router.lab.refusals import invalid

__all__ = [
    "EmbeddingSource",
    "HashEmbeddings",
    "embeddings_reply",
    "unit",
]

_MAX_DIMENSIONS = 4096


class EmbeddingSource(Protocol):
    """Makes vectors from texts; used by every provider of a lab and from many threads."""

    @property
    def name(self) -> str:
        """Who makes the vectors, named in the header ``x-lab-answers``."""
        ...

    def start(self) -> None:
        """Get ready.

        Raises:
            LabError: If something it needs is missing.
        """
        ...

    def close(self) -> None:
        """Let go of what :meth:`start` took."""
        ...

    def vectors(self, texts: Sequence[str], dimensions: int | None = None) -> list[list[float]]:
        """Return one vector of length one per text, in order.

        Args:
            texts: Any texts.
            dimensions: Numbers per vector; None for the source's own.

        Raises:
            RefusedError: With a 400, if the source has no vectors of these dimensions.
        """
        ...


class HashEmbeddings:
    """Sums one pseudo-random direction per word: the same text, the same vector, everywhere.

    Args:
        dimensions: Numbers per vector where a request does not say, 1 to 4096.
    """

    name = "hash"

    def __init__(self, dimensions: int = 64) -> None:
        self._dimensions = dimensions

    def start(self) -> None:
        """Do nothing: hashing needs no preparation."""

    def close(self) -> None:
        """Do nothing: hashing holds nothing."""

    def vectors(self, texts: Sequence[str], dimensions: int | None = None) -> list[list[float]]:
        """Hash each text; case does not matter.

        Raises:
            RefusedError: With a 400, if ``dimensions`` is not within 1 and 4096.
        """
        wanted = self._dimensions if dimensions is None else dimensions
        if not 1 <= wanted <= _MAX_DIMENSIONS:
            raise invalid(f"'dimensions' must be 1 to {_MAX_DIMENSIONS}.", "dimensions")
        return [_hashed(text, wanted) for text in texts]


def embeddings_reply(body: Mapping[str, object], source: EmbeddingSource) -> dict[str, object]:
    """Answer an embeddings request.

    Args:
        body: OpenAI's request: ``model``, ``input``, and optionally ``dimensions`` and
            ``encoding_format`` (``float`` by default, or ``base64``).
        source: Makes the vectors.

    Returns:
        OpenAI's reply with one unit vector per input, in order.

    Raises:
        RefusedError: With a 400, if a field is wrong.
    """
    model = required_model(body)
    texts = _texts(body.get("input"))
    encoding = body.get("encoding_format", "float")
    if encoding not in ("float", "base64"):
        raise invalid("'encoding_format' must be 'float' or 'base64'.", "encoding_format")
    vectors = source.vectors(texts, _dimensions(body.get("dimensions")))
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


def unit(vector: Sequence[float]) -> list[float]:
    """Scale a vector to length one; a vector of zeros stays as it is."""
    length = math.hypot(*vector) or 1.0
    return [value / length for value in vector]


def _hashed(text: str, dimensions: int) -> list[float]:
    total = [0.0] * dimensions
    for word in text.lower().split() or [""]:
        total = [have + new for have, new in zip(total, _direction(word, dimensions), strict=True)]
    return unit(total)


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


def _dimensions(wanted: object) -> int | None:
    if wanted is None:
        return None
    if isinstance(wanted, bool) or not isinstance(wanted, int):
        raise invalid("'dimensions' must be a whole number.", "dimensions")
    return wanted
