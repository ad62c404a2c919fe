"""One table of faults, asked in four ways, through both kinds of backend."""

import pytest
from langchain_core.exceptions import ModelError

from capability_router import AllModelsFailedError, FailureKind
from capability_router.lab import (
    Fault,
    Lab,
    bad_request,
    context_overflow,
    cut_stream,
    html,
    malformed_chunk,
    overloaded,
    rate_limited,
    refused,
    reset,
    server_error,
    unauthorized,
)
from tests.langchain.pools import Ask, Build, clock_of

K = FailureKind

# What is wrong with the first provider, and what may be recorded for it: a body that is cut
# reaches some clients as a lost connection, a web page reaches LiteLLM as its own status 500.
FAULTS: dict[str, tuple[Fault, set[FailureKind]]] = {
    "500": (server_error(), {K.SERVER_ERROR}),
    "503": (overloaded(), {K.OVERLOADED}),
    "429": (rate_limited(retry_after=7), {K.RATE_LIMITED}),
    "401": (unauthorized(), {K.AUTH}),
    "reset": (reset(), {K.CONNECTION}),
    "refused": (refused(), {K.CONNECTION}),
    "web page": (html(), {K.PROTOCOL, K.CONNECTION}),
    "cut in a chunked body": (cut_stream(0, "chunked"), {K.PROTOCOL, K.CONNECTION}),
    "cut in a body without length": (cut_stream(0, "close"), {K.PROTOCOL, K.CONNECTION}),
    "broken JSON": (malformed_chunk(0), {K.PROTOCOL}),
}


@pytest.mark.parametrize(("fault", "kinds"), FAULTS.values(), ids=FAULTS)
def test_first_request_is_served_by_the_second_model_after_one_wasted_call(
    lab: Lab, build: Build, ask: Ask, fault: Fault, kinds: set[FailureKind]
) -> None:
    lab["alpha"].fault = fault
    answer = ask(build(lab), "good day")
    assert answer.text == "beta echoes: good day"
    assert lab["alpha"].request_count == (0 if fault == refused() else 1)
    assert lab["beta"].request_count == 1
    first, second = answer.response_metadata["capability_router"]["attempts"]
    assert (first["model"], second["model"]) == ("alpha/tiny", "beta/tiny")
    assert first["kind"] in kinds
    assert second["kind"] is None


def test_retry_after_of_a_rate_limit_keeps_the_model_away_until_it_is_over(
    lab: Lab, build: Build, ask: Ask
) -> None:
    lab["alpha"].script(rate_limited(retry_after=7))
    chat = build(lab)
    assert ask(chat, "one").text == "beta echoes: one"
    clock_of(chat).advance(6.9)
    assert ask(chat, "two").text == "beta echoes: two"
    assert lab["alpha"].request_count == 1
    clock_of(chat).advance(3.5)
    assert ask(chat, "three").text == "alpha echoes: three"


def test_revived_model_serves_again(lab: Lab, build: Build, ask: Ask) -> None:
    chat = build(lab)
    lab["alpha"].stop()
    assert ask(chat, "one").text == "beta echoes: one"
    lab["alpha"].start()
    lab["beta"].stop()
    assert ask(chat, "two").text == "alpha echoes: two"


def test_model_that_left_after_three_failures_comes_back_by_itself(
    lab: Lab, build: Build, ask: Ask
) -> None:
    lab["beta"].stop()
    lab["alpha"].fault = server_error()
    chat = build(lab)
    for _ in range(3):
        with pytest.raises(AllModelsFailedError):
            ask(chat, "good day")
    assert chat.router.pool("chat-completion").get_state().standby_count >= 1
    lab["beta"].start()
    lab["alpha"].heal()
    clock_of(chat).advance(60)
    assert ask(chat, "good day").text.endswith("echoes: good day")


def test_refusal_of_the_request_is_the_providers_own_error_after_one_call(
    lab: Lab, build: Build, ask: Ask
) -> None:
    lab["alpha"].fault = bad_request()
    chat = build(lab)
    with pytest.raises(Exception, match="Invalid value in the request") as caught:
        ask(chat, "good day")
    assert getattr(caught.value, "status_code", None) == 400
    assert type(caught.value).__module__.split(".")[0] in {"litellm", "langchain_openai"}
    assert (lab["alpha"].request_count, lab["beta"].request_count) == (1, 0)
    state = chat.router.state("alpha/tiny")
    assert (state.consecutive_failures, state.in_flight) == (0, 0)
    assert chat.router.pool("chat-completion").get_state().standby_count == 0


def test_context_overflow_moves_on_and_blames_nobody(lab: Lab, build: Build, ask: Ask) -> None:
    lab["alpha"].fault = context_overflow()
    chat = build(lab)
    assert ask(chat, "good day").text == "beta echoes: good day"
    assert chat.router.state("alpha/tiny").consecutive_failures == 0


def test_context_overflow_of_every_model_is_the_providers_own_error(
    lab: Lab, build: Build, ask: Ask
) -> None:
    lab["alpha"].fault = lab["beta"].fault = context_overflow()
    with pytest.raises(Exception, match="maximum context length") as caught:
        ask(build(lab), "good day")
    assert getattr(caught.value, "status_code", None) == 400


def test_failure_of_every_model_is_one_error_of_both_worlds(
    lab: Lab, build: Build, ask: Ask
) -> None:
    lab["alpha"].fault, lab["beta"].fault = server_error(), rate_limited(retry_after=7)
    with pytest.raises(AllModelsFailedError) as caught:
        ask(build(lab), "good day")
    error = caught.value
    assert isinstance(error, ModelError)
    assert error.is_retryable
    assert [attempt.status for attempt in error.attempts] == [500, 429]
    assert [attempt.model for attempt in error.attempts] == ["alpha/tiny", "beta/tiny"]
    assert error.__cause__ is error.attempts[-1].error is not None
    assert (lab["alpha"].request_count, lab["beta"].request_count) == (1, 1)


def test_failure_that_does_not_pass_is_not_called_retryable(
    lab: Lab, build: Build, ask: Ask
) -> None:
    lab["alpha"].fault = lab["beta"].fault = unauthorized()
    with pytest.raises(ModelError) as caught:
        ask(build(lab), "good day")
    assert not caught.value.is_retryable


def test_nothing_is_in_flight_when_a_call_is_over(lab: Lab, build: Build, ask: Ask) -> None:
    lab["alpha"].fault = server_error()
    chat = build(lab)
    ask(chat, "good day")
    assert [chat.router.state(model.id).in_flight for model in chat.router.models] == [0, 0]


def test_tokens_are_counted_once(lab: Lab, build: Build, ask: Ask) -> None:
    chat = build(lab)
    answer = ask(chat, "good day")
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["input_tokens"] == 2
    assert answer.usage_metadata["output_tokens"] == 4
    state = chat.router.state("alpha/tiny")
    assert (state.input_tokens, state.output_tokens) == (2, 4)
