"""Where the text of a continuation meets the text that it continues.

Servers differ: some send nothing but what is new, some (llama.cpp for one) send again what they
were given first. And no server is given the white space at the end, which some of them refuse.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Generic, Protocol, TypeVar

__all__ = ["RESTARTED", "Joint", "Splice"]

RESTARTED = "stream_restarted"
"""What the chunk is marked with after which an answer begins anew: in LangChain's
``response_metadata``, in LiteLLM's ``provider_specific_fields`` of the delta."""

Chunk = TypeVar("Chunk")


class Splice(Protocol[Chunk]):
    """Lets the chunks of two models be one stream; for one call."""

    def begin(self, chunk: Chunk) -> None:
        """Note the first chunk that is handed out, with the identity that all will have."""
        ...

    def adopt(self, chunk: Chunk) -> Chunk:
        """Return a chunk of another stream as one of this."""
        ...

    def text(self, chunk: Chunk) -> str:
        """Return the text that a chunk brings."""
        ...

    def cut(self, chunk: Chunk, characters: int) -> Chunk:
        """Return a chunk without the first characters of its text."""
        ...

    def holds_only_text(self, chunk: Chunk) -> bool:
        """Whether nothing but text, or reasoning, of a single answer comes with a chunk."""
        ...

    def restart(self, chunk: Chunk) -> Chunk:
        """Return the chunk that says, before this one, that the answer begins anew."""
        ...


class Joint(Generic[Chunk]):
    """Drops from the beginning of a continuation what the caller has already.

    Chunks are held back for as long as they may turn out to be a repetition. One that begins with
    the whole of the text so far is taken for one: a model that goes on with exactly these words
    would be cut, which is rare, while a server that repeats does so always.

    Args:
        prefill: The text so far, which the model was given without the white space at its end.
        splice: Reads and cuts the chunks.
    """

    def __init__(self, prefill: str, splice: Splice[Chunk]) -> None:
        self._splice = splice
        self._told = prefill.rstrip()
        self._space = prefill[len(self._told) :]
        self._held: list[Chunk] = []
        self._seen = ""
        self._open = bool(prefill)

    def take(self, chunk: Chunk) -> list[Chunk]:
        """Take the next chunk; return those of which is known what is new in them."""
        if not self._open:
            return [chunk]
        self._held.append(chunk)
        self._seen += self._splice.text(chunk)
        whole = self._told + self._space
        if whole.startswith(self._seen) or self._space.startswith(self._seen):
            return []
        return self.rest()

    def rest(self) -> list[Chunk]:
        """Return what is held back, without what is known; the stream has ended, or gone on."""
        self._open = False
        known = self._known()
        held, self._held = self._held, []
        return [self._without(chunk, known) for chunk in held]

    def _known(self) -> list[int]:
        """Count the characters to drop, in a list that is used up."""
        again = len(self._told) if self._seen.startswith(self._told) else 0
        pairs = zip(self._seen[again:], self._space, strict=False)
        return [again + len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))]

    def _without(self, chunk: Chunk, known: list[int]) -> Chunk:
        characters = min(known[0], len(self._splice.text(chunk)))
        known[0] -= characters
        return self._splice.cut(chunk, characters) if characters else chunk
