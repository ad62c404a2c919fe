"""A continuation meets what it continues: nothing is said twice, and nothing is left out."""

from dataclasses import dataclass

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from capability_router.driving.joining import Joint
from tests.engine.building import Chunk, TextSplice


@dataclass(frozen=True)
class Continuation:
    """What a model sends that was given the beginning of a text, without the space at its end.

    Attributes:
        truth: The whole text.
        place: Where the caller's part of it ends.
        echoes: Whether it sends again what it was given.
        spaced: Whether it begins where that ends, as models do, or where the caller's part does.
    """

    truth: str
    place: int
    echoes: bool = False
    spaced: bool = True

    @property
    def part(self) -> str:
        return self.truth[: self.place]

    @property
    def told(self) -> str:
        return self.part.rstrip()

    @property
    def new(self) -> str:
        return self.truth[len(self.told) if self.spaced else self.place :]

    @property
    def sent(self) -> str:
        return self.told + self.new if self.echoes else self.new

    @property
    def is_ambiguous(self) -> bool:
        """Whether what is sent would look the same if another text were meant.

        It does in two cases: where it begins with exactly the words that were given, and is no
        repetition; and where it leaves out the space that the caller has, and goes on with more.
        """
        space = self.part[len(self.told) :]
        seems_to_echo = not self.echoes and self.new.startswith(self.told)
        seems_spaced = not self.spaced and self.new[:1] == space[:1] != ""
        return seems_to_echo or seems_spaced


@st.composite
def continuations(draw: st.DrawFn) -> Continuation:
    # Few letters, so that a text often seems to repeat itself.
    truth = draw(st.text("ab \n", min_size=1, max_size=12) | st.text(min_size=1, max_size=12))
    return Continuation(
        truth,
        draw(st.integers(1, len(truth))),
        echoes=draw(st.booleans()),
        spaced=draw(st.booleans()),
    )


def joined(told: str, chunks: list[Chunk]) -> list[Chunk]:
    joint = Joint(told, TextSplice())
    return [new for chunk in chunks for new in joint.take(chunk)] + joint.rest()


def in_chunks(text: str, sizes: list[int]) -> list[Chunk]:
    """Return a text in chunks of these sizes, some of them empty, and the rest in one."""
    chunks: list[Chunk] = []
    for size in sizes:
        chunks.append(Chunk(text[:size]))
        text = text[size:]
    return [*chunks, Chunk(text), Chunk(finish="stop")]


sizes = st.lists(st.integers(0, 4), max_size=12)


@settings(max_examples=500)
@given(continuation=continuations(), sizes=sizes)
@example(continuation=Continuation("hello world", 6, echoes=True), sizes=[3, 2, 0, 1])
@example(continuation=Continuation("hello world", 6), sizes=[1])
@example(continuation=Continuation("hello world", 6, spaced=False), sizes=[])
@example(continuation=Continuation("done. ", 6, echoes=True), sizes=[])
@example(continuation=Continuation("help hello", 3), sizes=[2, 2])
@example(continuation=Continuation("a  b", 2, spaced=False), sizes=[])
def test_part_and_continuation_are_the_whole_text_where_an_echo_can_be_told(
    continuation: Continuation, sizes: list[int]
) -> None:
    assume(continuation.told)
    chunks = joined(continuation.part, in_chunks(continuation.sent, sizes))
    text = continuation.part + "".join(chunk.text for chunk in chunks)
    assert (text == continuation.truth) is not continuation.is_ambiguous
    assert chunks[-1] == Chunk(finish="stop")


@settings(max_examples=500)
@given(continuation=continuations(), sizes=sizes)
def test_how_a_continuation_is_cut_into_chunks_changes_nothing(
    continuation: Continuation, sizes: list[int]
) -> None:
    assume(continuation.told)
    pieces = joined(continuation.part, in_chunks(continuation.sent, sizes))
    at_once = joined(continuation.part, in_chunks(continuation.sent, []))
    assert "".join(c.text for c in pieces) == "".join(c.text for c in at_once)


@pytest.mark.parametrize("sizes", [[], [1, 1, 1]])
def test_words_that_are_said_twice_are_taken_for_an_echo(sizes: list[int]) -> None:
    chunks = joined("ha", in_chunks("haha!", sizes))
    assert "".join(chunk.text for chunk in chunks) == "ha!"


def test_chunk_that_is_known_not_to_be_an_echo_comes_at_once() -> None:
    joint = Joint("hello", TextSplice())
    assert joint.take(Chunk("h")) == []
    assert joint.take(Chunk("i")) == [Chunk("h"), Chunk("i")]
    assert joint.take(Chunk("hello")) == [Chunk("hello")]
    assert joint.rest() == []


def test_chunks_of_an_echo_come_without_their_text_and_with_all_else() -> None:
    joint = Joint("hello ", TextSplice())
    assert joint.take(Chunk("hel", tokens=1)) == []
    assert joint.take(Chunk("lo w", tokens=2)) == [Chunk("", tokens=1), Chunk("w", tokens=2)]


def test_continuation_that_breaks_within_an_echo_has_brought_nothing() -> None:
    joint = Joint("hello", TextSplice())
    assert [joint.take(Chunk(letter)) for letter in "hello"] == [[]] * 5
