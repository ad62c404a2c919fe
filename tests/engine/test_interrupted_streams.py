"""A stream that breaks after a part of the answer was handed out: who goes on, and how."""

from dataclasses import replace

import pytest

from capability_router.engine.errors import AttemptTimeoutError, StreamInterruptedError
from capability_router.engine.feature import Feature
from capability_router.engine.outcome import FailureKind
from capability_router.engine.request import CompletionRequest
from capability_router.engine.retry import Interruption, RetryPolicy
from capability_router.engine.steps import Try
from tests.engine.building import CHAT, Chunk, Piece, ProviderError, Rig, model, overloaded
from tests.engine.streaming import (
    READERS,
    Asked,
    Reader,
    Turns,
    going_on,
    prefilling,
    text_of,
)

ERROR, CONTINUE, RESTART = Interruption.ERROR, Interruption.CONTINUE, Interruption.RESTART
STOP = Chunk(finish="stop")
both = pytest.mark.parametrize("read", READERS)


def cut(*texts: str, by: Exception | None = None) -> list[Piece]:
    """A stream that breaks after some chunks."""
    return [*map(Chunk, texts), by or overloaded()]


def whole(*texts: str) -> list[Piece]:
    return [*map(Chunk, texts), STOP]


def interrupted(
    read: Reader, rig: Rig, turns: Turns, got: list[Chunk], request: CompletionRequest | str = CHAT
) -> StreamInterruptedError:
    with pytest.raises(StreamInterruptedError) as caught:
        read(rig, turns, got, request)
    assert caught.value.partial_text == text_of(got)
    assert all(rig.router.state(each.id).in_flight == 0 for each in rig.router.models)
    (decision,) = rig.router.decisions
    assert (decision.served_by, decision.attempts) == (None, caught.value.attempts)
    return caught.value


@both
def test_next_model_that_takes_a_beginning_goes_on_from_it(read: Reader) -> None:
    rig, got = Rig("a/x", "b/no", prefilling("c/yes"), policy=going_on(CONTINUE)), list[Chunk]()
    turns = Turns(cut("hel", "lo "), whole(" wor", "ld"))
    read(rig, turns, got, CHAT)
    assert text_of(got) == "hello world"
    assert turns.asked == [Asked("a/x"), Asked("c/yes", "hello ")]
    assert not any(chunk.restarts for chunk in got)
    (decision,) = rig.router.decisions
    assert decision.served_by == "c/yes"
    assert [(a.model, a.kind) for a in decision.attempts] == [
        ("a/x", FailureKind.OVERLOADED),
        ("c/yes", None),
    ]
    assert rig.health() == {"a/x": (1, False), "b/no": (0, False), "c/yes": (0, False)}


@both
@pytest.mark.parametrize("features", [None, frozenset[str](), frozenset({Feature.STREAMING})])
def test_model_that_is_not_declared_to_take_a_beginning_gets_none(
    read: Reader, features: frozenset[str] | None
) -> None:
    others = [model(name, features=features) for name in ("a/x", "b/y")]
    rig, got = Rig(*others, policy=going_on(CONTINUE)), list[Chunk]()
    cause = overloaded()
    turns = Turns(cut("hel", by=cause))
    error = interrupted(read, rig, turns, got)
    assert (error.partial_text, error.__cause__) == ("hel", cause)
    assert turns.tried == ["a/x"]


@both
def test_model_that_broke_off_goes_on_itself_once_when_no_other_can(read: Reader) -> None:
    rig, got = Rig(prefilling("a/x"), "b/no", policy=going_on(CONTINUE)), list[Chunk]()
    turns = Turns(cut("hel"), whole("lo"))
    read(rig, turns, got, CHAT)
    assert (text_of(got), turns.asked) == ("hello", [Asked("a/x"), Asked("a/x", "hel")])

    rig, got = Rig(prefilling("a/x"), "b/no", policy=going_on(CONTINUE)), list[Chunk]()
    turns, last = Turns(cut("h"), cut("e", by=ConnectionResetError())), list[Chunk]()
    error = interrupted(read, rig, turns, last)
    assert (turns.tried, error.partial_text) == (["a/x", "a/x"], "he")
    assert isinstance(error.__cause__, ConnectionResetError)


@both
def test_other_models_go_on_before_the_one_that_broke_off_and_then_the_next_way(
    read: Reader,
) -> None:
    rig = Rig(prefilling("a/x"), prefilling("b/y"), "c/z", policy=going_on(CONTINUE, RESTART))
    turns, got = Turns(cut("1"), overloaded(), overloaded(), whole("another")), list[Chunk]()
    read(rig, turns, got, CHAT)
    assert turns.asked == [
        Asked("a/x"),
        Asked("b/y", "1"),
        Asked("a/x", "1"),
        Asked("c/z", restarts=True),
    ]
    assert got == [Chunk("1"), Chunk(restarts=True), Chunk("another"), STOP]


@both
@pytest.mark.parametrize("status", [400, 422])
def test_refused_beginning_is_nobodys_fault_and_the_next_one_goes_on(
    read: Reader, status: int
) -> None:
    rig = Rig("a/x", prefilling("b/y"), prefilling("c/z"), policy=going_on(CONTINUE))
    turns, got = Turns(cut("1"), ProviderError(status), whole("2")), list[Chunk]()
    read(rig, turns, got, CHAT)
    assert (text_of(got), turns.tried) == ("12", ["a/x", "b/y", "c/z"])
    assert rig.health()["b/y"] == (0, False)
    kinds = [attempt.kind for attempt in rig.router.decisions[-1].attempts]
    assert kinds == [FailureKind.OVERLOADED, FailureKind.UNSUPPORTED, None]


@both
def test_refused_beginning_never_shows_where_nobody_is_left(read: Reader) -> None:
    rig, cause = Rig("a/x", prefilling("b/y"), policy=going_on(CONTINUE)), overloaded()
    error = interrupted(
        read, rig, Turns(cut("1", by=cause), ProviderError(400)), got := list[Chunk]()
    )
    assert (text_of(got), error.__cause__) == ("1", cause)
    assert [attempt.kind for attempt in error.attempts] == ["overloaded", "unsupported"]


@both
def test_beginning_that_makes_the_prompt_too_long_leads_to_the_next_way(read: Reader) -> None:
    small = replace(prefilling("b/y"), context_window=8000)
    same = model("c/z", window=8000)
    rig = Rig("a/x", small, same, policy=going_on(CONTINUE, RESTART))
    too_long = ProviderError(400, "context_length_exceeded")
    turns, got = Turns(cut("1"), too_long, whole("anew")), list[Chunk]()
    read(rig, turns, got, CHAT)
    assert text_of(got) == "anew"
    assert turns.asked[2:] == [Asked("c/z", restarts=True)]


@both
def test_answer_that_is_cut_again_and_again_stays_whole(read: Reader) -> None:
    names = [f"{provider}/x" for provider in "abcdefgh"]
    rig = Rig(*map(prefilling, names), policy=going_on(CONTINUE))
    turns = Turns(*[cut(letter) for letter in "abcdefg"], whole("h"))
    read(rig, turns, got := list[Chunk](), CHAT)
    assert text_of(got) == "abcdefgh"
    assert [asked.prefill for asked in turns.asked] == ["abcdefgh"[:place] for place in range(8)]
    assert turns.tried == names


@both
@pytest.mark.parametrize("way", [CONTINUE, RESTART])
def test_going_on_stays_within_the_attempts(read: Reader, way: Interruption) -> None:
    retry = RetryPolicy(max_attempts=3, on_interruption=(way,))
    rig = Rig(*map(prefilling, ("a/x", "b/x", "c/x", "d/x")), policy=going_on(retry=retry))
    turns = Turns(*[cut(letter) for letter in "123"])
    error = interrupted(read, rig, turns, [])
    assert error.partial_text == ("123" if way is CONTINUE else "3")
    assert turns.tried == ["a/x", "b/x", "c/x"]


@both
def test_deadline_that_passes_meanwhile_ends_with_the_part(read: Reader) -> None:
    retry = RetryPolicy(deadline_s=5.0, on_interruption=(CONTINUE, RESTART))
    rig, got = (
        Rig(prefilling("a/x"), prefilling("b/y"), policy=going_on(retry=retry)),
        list[Chunk](),
    )

    def slow(step: Try) -> list[Piece]:
        assert step.ends_s == 5.0
        rig.clock.advance(5.0)
        return cut("1")

    with pytest.raises(StreamInterruptedError, match="after 1 characters") as caught:
        read(rig, slow, got, CHAT)
    assert len(caught.value.attempts) == 1


@both
@pytest.mark.parametrize("ways", [(CONTINUE,), (RESTART,), (CONTINUE, RESTART)])
def test_refusal_of_the_content_is_never_gone_around(
    read: Reader, ways: tuple[Interruption, ...]
) -> None:
    refusal = ProviderError(400, "content_policy")
    rig = Rig(prefilling("a/x"), prefilling("b/y"), policy=going_on(*ways))
    turns = Turns(cut("1", by=refusal))
    error = interrupted(read, rig, turns, [])
    assert (turns.tried, error.__cause__) == (["a/x"], refusal)
    rig = Rig(prefilling("a/x"), prefilling("b/y"), prefilling("c/z"), policy=going_on(*ways))
    turns = Turns(cut("1"), refusal)
    error = interrupted(read, rig, turns, [])
    assert turns.tried == ["a/x", "b/y"]
    assert error.attempts[-1].kind is FailureKind.CONTENT_POLICY


@both
@pytest.mark.parametrize("when", ["first", "later"])
def test_tool_calls_of_two_models_are_never_glued(read: Reader, when: str) -> None:
    call, text = Chunk(tool=True), Chunk("let me see")
    begun = list[Piece]([call, text] if when == "first" else [text, call])
    models = (prefilling("a/x"), prefilling("b/y"))
    error = interrupted(
        read, Rig(*models, policy=going_on(CONTINUE)), turns := Turns([*begun, overloaded()]), []
    )
    assert (turns.tried, error.partial_text) == (["a/x"], "let me see")
    rig, got = Rig(*models, policy=going_on(CONTINUE, RESTART)), list[Chunk]()
    turns = Turns([*begun, overloaded()], whole("anew"))
    read(rig, turns, got, CHAT)
    assert turns.asked[1] == Asked("b/y", restarts=True)
    assert got[len(begun) :] == [Chunk(restarts=True), Chunk("anew"), STOP]


@both
def test_tool_call_in_a_continuation_is_not_continued_either(read: Reader) -> None:
    rig = Rig(*map(prefilling, ("a/x", "b/y", "c/z")), policy=going_on(CONTINUE))
    turns = Turns(cut("1"), [Chunk("2"), Chunk(tool=True), overloaded()])
    assert interrupted(read, rig, turns, []).partial_text == "12"
    assert turns.tried == ["a/x", "b/y"]


@both
@pytest.mark.parametrize("feature", [Feature.STRUCTURED_OUTPUT, Feature.JSON_MODE])
def test_objects_are_never_glued(read: Reader, feature: str) -> None:
    rig = Rig(prefilling("a/x", feature), prefilling("b/y", feature), policy=going_on(CONTINUE))
    turns = Turns(cut("{"))
    interrupted(read, rig, turns, [], CompletionRequest(CHAT, frozenset({feature})))
    assert turns.tried == ["a/x"]


@both
def test_answer_of_white_space_alone_is_nothing_to_go_on_from(read: Reader) -> None:
    rig = Rig(prefilling("a/x"), prefilling("b/y"), policy=going_on(CONTINUE))
    turns = Turns(cut(" \n"))
    assert interrupted(read, rig, turns, []).partial_text == " \n"


@both
def test_new_beginning_is_marked_once_and_whole(read: Reader) -> None:
    rig = Rig("a/x", "b/y", "c/z", policy=going_on(RESTART))
    turns = Turns(cut("one"), cut("two"), whole("three"))
    read(rig, turns, got := list[Chunk](), CHAT)
    assert got == [
        *(Chunk("one"), Chunk(restarts=True)),
        *(Chunk("two"), Chunk(restarts=True)),
        *(Chunk("three"), STOP),
    ]


@both
def test_new_beginning_that_fails_before_its_first_token_leaves_no_mark(read: Reader) -> None:
    rig = Rig("a/x", "b/y", "c/z", policy=going_on(RESTART))
    turns = Turns(cut("one"), [Chunk(), overloaded()], [Chunk(), *whole("three")])
    read(rig, turns, got := list[Chunk](), CHAT)
    assert got == [Chunk("one"), Chunk(restarts=True), Chunk(), Chunk("three"), STOP]
    rig, turns = Rig("a/x", "b/y", policy=going_on(RESTART)), Turns(cut("one"), overloaded())
    assert interrupted(read, rig, turns, []).partial_text == "one"


@both
def test_only_model_begins_anew_itself_where_its_failure_may_be_repeated(read: Reader) -> None:
    rig, turns = Rig("a/x", policy=going_on(RESTART)), Turns(cut("one"), whole("two"))
    read(rig, turns, got := list[Chunk](), CHAT)
    assert (text_of(got), turns.asked[1]) == ("two", Asked("a/x", restarts=True))
    rig, turns = Rig("a/x", policy=going_on(RESTART)), Turns(cut("one", by=TimeoutError()))
    interrupted(read, rig, turns, [])
    assert turns.tried == ["a/x"]


@both
@pytest.mark.parametrize("ways", [(), (ERROR,), (ERROR, RESTART)])
def test_who_wants_an_error_gets_one_at_once(read: Reader, ways: tuple[Interruption, ...]) -> None:
    rig = Rig(prefilling("a/x"), prefilling("b/y"), policy=going_on(*ways))
    cause = overloaded()
    turns = Turns(cut("one", by=cause))
    assert interrupted(read, rig, turns, []).__cause__ is cause
    assert turns.tried == ["a/x"]


@both
def test_patient_pool_goes_on_before_it_repeats(read: Reader) -> None:
    rig = Rig(prefilling("a/x"), prefilling("b/y"), policy=going_on(retry=RetryPolicy.patient()))
    turns = Turns(cut("1"), whole("2"))
    read(rig, turns, got := list[Chunk](), CHAT)
    assert (text_of(got), turns.tried) == ("12", ["a/x", "b/y"])


@both
def test_stall_in_a_stream_names_what_did_not_come(read: Reader) -> None:
    late = AttemptTimeoutError("next chunk", 15.0)
    rig, turns = Rig("a/x", policy=going_on(CONTINUE)), Turns(cut("1", by=late))
    error = interrupted(read, rig, turns, [])
    assert (error.__cause__, error.attempts[0].kind) == (late, FailureKind.STALLED)
