"""What a caller of LiteLLM sees when providers misbehave, in every place and on every surface."""

from __future__ import annotations

from typing import Any

import litellm
import openai
import pytest

from capability_router import AllModelsFailedError, FailureKind
from capability_router.lab import (
    Fault,
    Lab,
    bad_request,
    context_overflow,
    cut_stream,
    hang,
    html,
    malformed_chunk,
    not_found,
    overloaded,
    payment_required,
    policy_violation,
    quota_exhausted,
    rate_limited,
    reset,
    server_error,
    unauthorized,
)
from litellm_capability_router import CapabilityStreamError, CapabilityUnavailableError
from tests.connections import connections
from tests.litellm.surfaces import SURFACES, Setup, Surface, set_up

STREAMS = {name: ask for name, ask in SURFACES.items() if "stream" in name}

DEAD: dict[str, Fault] = {
    "500": server_error(),
    "503": overloaded(),
    "429": rate_limited(retry_after=7),
    "401": unauthorized(),
    "402": payment_required(),
    "404": not_found(),
    "no quota": quota_exhausted(),
    "context": context_overflow(),
    "reset": reset(),
    "not JSON": html(),
    "cut, chunked": cut_stream(after=0, framing="chunked"),
    "cut, closed": cut_stream(after=0, framing="close"),
    "malformed": malformed_chunk(after=0),
}


def bare(error: BaseException) -> BaseException:
    """Return what LiteLLM puts an error of its own around, in the streams of a custom provider."""
    original = getattr(error, "original_exception", None)
    return original if isinstance(original, BaseException) else error


@pytest.mark.parametrize("fault", DEAD.values(), ids=DEAD.keys())
def test_the_first_request_is_served_by_the_second_model_with_one_wasted_call(
    setup: Setup, ask: Surface, fault: Fault
) -> None:
    setup.lab["alpha"].fault = fault
    assert "beta" in ask(setup.host)
    assert setup.calls() == [1, 1, 0]


def test_a_provider_that_refuses_connections_costs_the_first_request_nothing_but_time(
    setup: Setup, ask: Surface
) -> None:
    setup.lab["alpha"].stop()
    assert "beta" in ask(setup.host)
    assert setup.calls() == [0, 1, 0]


def test_a_hanging_provider_is_left_after_the_timeout(place: Any, ask: Surface) -> None:
    with Lab(["alpha", "beta"], answers="echo") as lab, connections():
        setup = set_up(lab, place, attempt_timeout_s=0.2)
        lab["alpha"].fault = hang()
        assert "beta" in ask(setup.host)
        assert setup.router.decisions[-1].attempts[0].kind is FailureKind.TIMEOUT
        assert setup.router.state("alpha/m").consecutive_failures == 1


def test_a_timeout_that_the_caller_made_shorter_is_not_held_against_the_model(
    setup: Setup, ask: Surface
) -> None:
    setup.lab["alpha"].fault = hang()
    assert "beta" in ask(setup.host, timeout=0.2)
    assert setup.router.decisions[-1].attempts[0].kind is FailureKind.TIMEOUT
    assert setup.router.state("alpha/m").consecutive_failures == 0


def test_two_dead_models_are_both_passed_over(setup: Setup, ask: Surface) -> None:
    setup.lab["alpha"].fault = server_error()
    setup.lab["beta"].fault = unauthorized()
    assert "gamma" in ask(setup.host)
    assert setup.calls() == [1, 1, 1]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (bad_request(), litellm.BadRequestError),
        (policy_violation(), litellm.ContentPolicyViolationError),
    ],
    ids=["bad request", "policy"],
)
def test_a_callers_fault_costs_one_call_and_reaches_the_caller_as_it_is(
    setup: Setup, ask: Surface, fault: Fault, error: type[Exception]
) -> None:
    setup.lab["alpha"].fault = fault
    with pytest.raises(error) as caught:
        ask(setup.host)
    assert not isinstance(caught.value, CapabilityUnavailableError)
    assert setup.calls() == [1, 0, 0]
    assert setup.router.state("alpha/m").consecutive_failures == 0
    assert setup.resting() == []


def test_a_context_too_long_for_every_model_ends_with_the_providers_own_error(
    setup: Setup, ask: Surface
) -> None:
    for provider in setup.lab:
        provider.fault = context_overflow()
    with pytest.raises(litellm.ContextWindowExceededError):
        ask(setup.host)
    assert setup.calls() == [1, 1, 1]
    assert setup.resting() == []


def test_when_all_fail_one_error_carries_every_attempt(setup: Setup, ask: Surface) -> None:
    for provider in setup.lab:
        provider.fault = server_error()
    with pytest.raises(litellm.ServiceUnavailableError) as caught:
        ask(setup.host)
    error = bare(caught.value)
    assert isinstance(error, AllModelsFailedError)
    assert [attempt.model for attempt in error.attempts] == ["alpha/m", "beta/m", "gamma/m"]
    assert {attempt.kind for attempt in error.attempts} == {FailureKind.SERVER_ERROR}
    assert isinstance(error.__cause__, litellm.InternalServerError)
    assert "gamma/m: server_error (HTTP 500)" in str(error)


def test_retry_after_is_kept_and_the_model_serves_again_by_itself(
    setup: Setup, ask: Surface
) -> None:
    setup.lab["alpha"].script(rate_limited(retry_after=7))
    assert "beta" in ask(setup.host)
    setup.clock.advance(6.9)
    assert "beta" in ask(setup.host)
    setup.clock.advance(0.2)
    assert "alpha" in ask(setup.host)
    assert setup.calls() == [2, 2, 0]


def test_a_model_taken_down_and_revived_serves_again_without_help(
    setup: Setup, ask: Surface
) -> None:
    setup.lab["alpha"].stop()
    answers = [ask(setup.host) for _ in range(4)]
    assert all("beta" in answer for answer in answers)
    assert setup.resting() == ["alpha/m"]
    setup.lab["alpha"].start()
    setup.clock.advance(10)
    assert "alpha" in ask(setup.host)
    assert setup.resting() == []


@pytest.mark.parametrize("framing", ["chunked", "close"])
@pytest.mark.parametrize("ask_stream", STREAMS.values(), ids=STREAMS.keys())
def test_a_stream_cut_after_text_is_never_a_success(
    setup: Setup, ask_stream: Surface, framing: Any
) -> None:
    setup.lab["alpha"].fault = cut_stream(after=2, framing=framing)
    with pytest.raises(openai.APIError) as caught:
        ask_stream(setup.host)
    error = bare(caught.value)
    assert isinstance(error, CapabilityStreamError)
    assert error.partial_text
    assert error.partial_text in "alpha echoes: count to three"
    assert isinstance(error, litellm.APIConnectionError)
    assert setup.router.state("alpha/m").consecutive_failures == 1
    assert setup.router.state("alpha/m").in_flight == 0


def test_a_requests_own_features_choose_among_the_models(setup: Setup) -> None:
    seeing = setup.router.model("gamma/m")
    setup.router.unregister("gamma/m")
    for model in (*setup.router.models, seeing):
        if model.id in {m.id for m in setup.router.models}:
            setup.router.unregister(model.id)
        features = {"vision"} if model.id == "gamma/m" else {"streaming"}
        setup.router.register(
            type(model)(model.id, model.capabilities, features=frozenset(features))
        )
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    question = [{"role": "user", "content": [{"type": "text", "text": "what?"}, picture]}]
    setup.host.completion(model="chat-completion", messages=question)
    assert setup.calls() == [0, 0, 1]


def test_more_models_than_litellm_has_fallbacks_are_all_tried(place: Any, ask: Surface) -> None:
    with Lab([f"p{number}" for number in range(8)], answers="echo") as lab, connections():
        setup = set_up(lab, place)
        for provider in list(lab)[:7]:
            provider.fault = server_error()
        assert "p7" in ask(setup.host)
        assert setup.calls() == [1] * 8
