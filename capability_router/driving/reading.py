"""One streamed attempt as it is read: what may be handed out, and what is held back.

Decides nothing about the call: a driver asks it for each chunk.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Generic, Protocol, TypeVar

from capability_router.driving.joining import Joint, Splice
from capability_router.driving.pace import Pace, failure_of_attempt
from capability_router.engine.errors import (
    AttemptTimeoutError,
    IncompleteAnswerError,
    NothingToAddError,
)
from capability_router.engine.outcome import Failure, FailureKind, Usage
from capability_router.engine.steps import Try

__all__ = ["END", "End", "Reading", "Watch"]

Chunk = TypeVar("Chunk")
Chunks = TypeVar("Chunks")
Chunk_contra = TypeVar("Chunk_contra", contravariant=True)


class End:
    """What follows the last chunk."""


END: Final = End()


class Watch(Protocol[Chunk_contra]):
    """Follows the chunks of one streamed attempt."""

    @property
    def usage(self) -> Usage:
        """The tokens counted so far."""
        ...

    @property
    def committed(self) -> bool:
        """True once a chunk has brought text, a tool call or reasoning."""
        ...

    @property
    def complete(self) -> bool:
        """True once the stream may end; one that ends before was cut."""
        ...

    @property
    def finished(self) -> bool:
        """True once a real finish reason has come: who leaves now has missed nothing."""
        ...

    @property
    def text(self) -> str:
        """The text handed out so far."""
        ...

    def take(self, chunk: Chunk_contra) -> None:
        """Note one chunk."""
        ...

    def failure(self, error: Exception) -> Failure:
        """Name what an exception means."""
        ...


class Reading(Generic[Chunk, Chunks]):
    """The stream of one attempt, up to its end.

    Chunks are held back until one commits, that is, brings text, a tool call or reasoning: up to
    then another model may answer in the place of this one.

    Args:
        step: The attempt.
        chunks: Its chunks, a generator that has not begun.
        watch: Follows them.
        splice: Lets streams of two models be one; None where they cannot be.

    Attributes:
        only_text: Whether nothing but text was handed out, which another model can go on from.
        ended: Whether the last chunk has come.
        pace: How long the next chunk may take.
    """

    def __init__(
        self, step: Try, chunks: Chunks, watch: Watch[Chunk], splice: Splice[Chunk] | None
    ) -> None:
        self.step = step
        self.chunks = chunks
        self.watch = watch
        self.pace = Pace.of_stream(step)
        self.only_text = splice is not None
        self.ended = False
        self._splice = splice
        self._joint = Joint(step.prefill, splice) if step.prefill and splice else None
        self._held: list[Chunk] = []

    def take(self, chunk: Chunk | End) -> None:
        """Note a chunk, or the end.

        Raises:
            IncompleteAnswerError: If the end comes before the answer is complete.
            NothingToAddError: If a continuation ends without a word, the first to do so.
        """
        self.pace.came()
        watch = self.watch
        committed = watch.committed
        for new in self._joined(chunk):
            watch.take(new)
            self._held.append(new)
        if chunk is END:
            self.ended = True
            self._check_end()
        if not committed and watch.committed:
            self.pace.flows()

    def ready(self) -> list[Chunk]:
        """Return the chunks that can be handed out now."""
        if not self.watch.committed and not self.ended:
            return []
        ready, self._held = self._held, []
        return ready if self._splice is None else self._spliced(ready, self._splice)

    def failure(self, error: Exception) -> Failure:
        """Name what the stream has broken with.

        One that falls silent once it has begun has stalled, whoever was the first to notice: the
        client has a limit on silence too, which may be as long as ours.
        """
        found = failure_of_attempt(error, self.watch.failure)
        silent = found.kind is FailureKind.TIMEOUT and found.status is None
        if isinstance(error, AttemptTimeoutError) or not (silent and self.watch.committed):
            return found
        return replace(found, kind=FailureKind.STALLED)

    def _check_end(self) -> None:
        if self.watch.complete:
            return
        if not self.step.prefill or not self.watch.finished:
            raise IncompleteAnswerError
        if not self.step.may_end:
            raise NothingToAddError

    def _joined(self, chunk: Chunk | End) -> list[Chunk]:
        joint = self._joint
        if isinstance(chunk, End):
            return joint.rest() if joint else []
        return joint.take(chunk) if joint else [chunk]

    def _spliced(self, ready: list[Chunk], splice: Splice[Chunk]) -> list[Chunk]:
        if not ready:
            return ready
        if self._joint is not None:
            ready = [splice.adopt(chunk) for chunk in ready]
        elif self.step.restarts:
            self.step.restarts = False
            ready = [splice.restart(ready[0]), *ready]
        else:
            splice.begin(ready[0])
        self.only_text = self.only_text and all(map(splice.holds_only_text, ready))
        return ready
