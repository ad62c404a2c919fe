"""A function of the application scores the models."""

from functools import partial
from math import inf, nan
from random import Random
from typing import Any

import pytest

from capability_router.engine.model import Model
from capability_router.engine.request import CompletionRequest
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.scored import Score, Scored
from tests.engine.building import CHAT, Rig, member

REQUEST = CompletionRequest(CHAT)


def scored(score: Score) -> Scored:
    strategy = Scored(Random(1), score=score)
    for place, name in enumerate(("a/1", "b/22", "c/333")):
        strategy.admit(member(name, (0, 0, place)))
    return strategy


def served(strategy: Scored, *tried: str, request: CompletionRequest = REQUEST) -> str | None:
    found = strategy.choose(request, tried, 0.0)
    if found is None:
        return None
    strategy.chosen(found, tried, 0.0)
    return found.model.id


def by_length(model: Model, request: CompletionRequest) -> float:
    del request
    return len(model.name)


def test_highest_score_serves_then_the_next() -> None:
    strategy = scored(by_length)
    assert served(strategy) == "c/333"
    assert served(strategy, "c/333") == "b/22"
    assert served(strategy, "c/333", "b/22", "a/1") is None


def test_equal_scores_serve_by_rank() -> None:
    strategy = scored(lambda *_: 0.5)
    assert served(strategy) == "a/1"
    strategy.withdraw(member("a/1"))
    strategy.admit(member("a/1", (0, 0, 9)))
    assert served(strategy) == "b/22"


def test_score_depends_on_the_request() -> None:
    strategy = scored(lambda model, request: -abs(len(model.name) - request.input_tokens))
    assert served(strategy, request=CompletionRequest(CHAT, input_tokens=1)) == "a/1"
    assert served(strategy, request=CompletionRequest(CHAT, input_tokens=2)) == "b/22"


def test_none_leaves_a_model_out() -> None:
    strategy = scored(lambda model, _: None if model.id == "c/333" else -inf)
    assert served(strategy) == "a/1"
    assert served(strategy, "a/1", "b/22") is None


def test_tried_models_are_not_scored() -> None:
    asked: list[str] = []
    strategy = scored(lambda model, _: asked.append(model.id))
    assert served(strategy, "b/22") is None
    assert asked == ["a/1", "c/333"]


def test_score_that_is_no_number_is_refused_with_the_model_it_was_for() -> None:
    answer: Any = "high"
    with pytest.raises(TypeError, match=r"score of 'a/1' is 'high', a str"):
        served(scored(lambda *_: answer))


def test_score_that_is_not_a_number_by_name_is_refused_as_well() -> None:
    with pytest.raises(ValueError, match=r"score of 'b/22' is nan"):
        served(scored(lambda model, _: nan if model.id == "b/22" else 1))


def test_error_of_the_function_reaches_the_caller() -> None:
    rig = Rig("a/1", policy=RotationPolicy(selection=partial(Scored, score=divided)))
    with pytest.raises(ZeroDivisionError):
        rig.select()


def divided(model: Model, request: CompletionRequest) -> float:
    return len(model.name) / request.input_tokens
