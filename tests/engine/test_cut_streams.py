"""However streams are cut, no part of an answer ever passes for the whole."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.engine.errors import AllModelsFailedError, StreamInterruptedError
from tests.engine.building import (
    STREAM_DRIVERS,
    Chunk,
    Driver,
    Piece,
    Rig,
    Script,
    Scripted,
    overloaded,
)

chunks = st.sampled_from([Chunk(), Chunk("a"), Chunk("bc"), Chunk(finish="stop")])
breaks: st.SearchStrategy[list[Piece]] = st.sampled_from(
    [[], [overloaded()], [TimeoutError()], [ConnectionResetError()]]
)
streams: st.SearchStrategy[list[Piece]] = st.builds(
    lambda sent, end: [*sent, *end], st.lists(chunks, max_size=5), breaks
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
