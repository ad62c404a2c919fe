"""However streams are cut, no part of an answer ever passes for the whole."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capability_router.engine.errors import (
    AllModelsFailedError,
    NoAvailableModelError,
    StreamInterruptedError,
)
from capability_router.engine.retry import Interruption, RepeatScope, RetryPolicy
from capability_router.engine.steps import Try
from tests.engine.building import (
    CHAT,
    STREAM_DRIVERS,
    Chunk,
    Driver,
    Piece,
    ProviderError,
    Rig,
    Script,
    Scripted,
    model,
    overloaded,
)
from tests.engine.streaming import READERS, Reader, going_on, prefilling, text_of

chunks = st.sampled_from([Chunk(), Chunk("a"), Chunk("bc"), Chunk(finish="stop")])
breaks: st.SearchStrategy[list[Piece]] = st.sampled_from(
    [[], [overloaded()], [TimeoutError()], [ConnectionResetError()]]
)
streams: st.SearchStrategy[list[Piece]] = st.tuples(st.lists(chunks, max_size=5), breaks).map(
    lambda parts: [*parts[0], *parts[1]]
)


@dataclass
class Expected:
    """What a reader may see of some streams in turn, worked out without a driver."""

    tried: int
    whole: str | None = None
    partial: str | None = None


def expected(attempts: list[list[Piece]]) -> Expected:
    for number, attempt in enumerate(attempts, start=1):
        sent = [piece for piece in attempt if isinstance(piece, Chunk)]
        text = "".join(chunk.text for chunk in sent)
        broke = len(sent) < len(attempt)
        # Once something is handed out, nothing that matters follows the finish reason.
        if any(chunk.finish for chunk in sent) and (text or not broke):
            return Expected(number, whole=text)
        if text:
            return Expected(number, partial=text)
    return Expected(len(attempts))


@pytest.mark.parametrize("drive", STREAM_DRIVERS)
@given(attempts=st.lists(streams, min_size=2, max_size=4))
def test_only_a_stream_with_a_finish_reason_is_ever_an_answer(
    drive: Driver, attempts: list[list[Piece]]
) -> None:
    rig = Rig(*[f"{provider}/x" for provider in "abcd"[: len(attempts)]])
    steps: list[Scripted] = list(attempts)
    script, wanted = Script(*steps), expected(attempts)
    if wanted.whole is not None:
        assert drive(rig, script, "chat-completion") == wanted.whole
    elif wanted.partial is not None:
        with pytest.raises(StreamInterruptedError) as interrupted:
            drive(rig, script, "chat-completion")
        assert interrupted.value.partial_text == wanted.partial
    else:
        with pytest.raises(AllModelsFailedError):
            drive(rig, script, "chat-completion")
    assert (len(script.tried), script.opened) == (wanted.tried, 0)
    counted = [rig.router.state(each.id) for each in rig.router.models]
    assert sum(state.successes for state in counted) == (wanted.whole is not None)
    assert sum(state.failures for state in counted) == wanted.tried - (wanted.whole is not None)
    assert all(state.in_flight == 0 for state in counted)


TRUTH = "To be, or not to be, that is the question. "
refused: list[Piece] = [ProviderError(400)]


@dataclass(frozen=True)
class Turn:
    """How one attempt of a model that knows the true answer goes.

    Attributes:
        sizes: The characters in each of its chunks.
        end: What its stream breaks with, or ends with before it is complete; None if it serves.
        echoes: Whether it sends again what it was given.
    """

    sizes: list[int]
    end: list[Piece] | None
    echoes: bool

    def pieces(self, prefill: str) -> list[Piece]:
        text = TRUTH if self.echoes else TRUTH[len(prefill.rstrip()) :]
        sent: list[Piece] = [Chunk()]
        for size in self.sizes:
            sent.append(Chunk(text[:size]))
            text = text[size:]
        return [*sent, *([Chunk(text), Chunk(finish="stop")] if self.end is None else self.end)]


turns = st.builds(
    Turn,
    sizes=st.lists(st.integers(0, 9), max_size=6),
    end=breaks | st.just(refused) | st.none(),
    echoes=st.booleans(),
)
ways = st.lists(st.sampled_from(Interruption), max_size=3, unique=True).map(tuple)


@pytest.mark.parametrize("read", READERS)
@settings(max_examples=300)
@given(
    attempts=st.lists(turns, min_size=10, max_size=10),
    prefills=st.lists(st.booleans(), min_size=1, max_size=5),
    ways=ways,
    scope=st.sampled_from(RepeatScope),
    most=st.integers(1, 10),
)
def test_caller_has_a_beginning_of_the_true_answer_until_it_has_all(
    read: Reader,
    attempts: list[Turn],
    prefills: list[bool],
    ways: tuple[Interruption, ...],
    scope: RepeatScope,
    most: int,
) -> None:
    names = [f"{provider}/x" for provider in "abcde"]
    models = [
        (prefilling if prefill else model)(name)
        for name, prefill in zip(names, prefills, strict=False)
    ]
    retry = RetryPolicy(max_attempts=most, scope=scope, on_interruption=ways)
    rig, to_come = Rig(*models, policy=going_on(retry=retry)), iter(attempts)
    got, prefixes = list[Chunk](), list[str]()

    def attempt(step: Try) -> list[Piece]:
        assert not step.prefill or step.model.features
        assert step.prefill in {"", text_of(got)}
        prefixes.append(step.prefill)
        return next(to_come).pieces(step.prefill)

    partial = None
    try:
        read(rig, attempt, got, CHAT)
    except StreamInterruptedError as error:
        partial = error.partial_text
    except (NoAvailableModelError, ProviderError):
        partial = ""
    assert text_of(got) == (TRUTH if partial is None else partial)
    assert TRUTH.startswith(text_of(got))
    assert any(chunk.finish for chunk in got) is (partial is None)
    marks = sum(chunk.restarts for chunk in got)
    assert marks <= prefixes[1:].count("")
    assert not marks or Interruption.RESTART in ways
    assert len(prefixes) <= most
    (decision,) = rig.router.decisions
    assert len(decision.attempts) == len(prefixes)
    counted = [rig.router.state(each.id) for each in rig.router.models]
    assert sum(state.successes for state in counted) == (decision.served_by is not None)
    assert all(state.in_flight == 0 for state in counted)
