"""What each family of exceptions means, without a request being sent."""

import json
from typing import Any

import httpx
import openai
import pytest
from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelError,
    ModelInvalidRequestError,
    ModelNotFoundError,
    ModelRateLimitError,
    ModelTimeoutError,
)

from capability_router import (
    AllModelsFailedError,
    CapabilityRouter,
    FailureKind,
    NoAvailableModelError,
)
from capability_router.lab import Lab, rate_limited
from langchain_capability_router import ChatCapabilityRouter, NoAvailableChatModelError
from langchain_capability_router.errors import UnsupportedByModelError, failure_of
from tests.langchain.pools import through_own_models

K = FailureKind
REQUEST = httpx.Request("POST", "http://127.0.0.1/v1/chat/completions")


def answered(status: int, **headers: str) -> httpx.Response:
    return httpx.Response(status, headers=headers, request=REQUEST)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ModelAuthenticationError(), K.AUTH),
        (ModelNotFoundError(), K.NOT_FOUND),
        (ModelRateLimitError(), K.RATE_LIMITED),
        (ModelAPIError(), K.SERVER_ERROR),
        (ModelConnectionError(), K.CONNECTION),
        (ModelTimeoutError(), K.TIMEOUT),
        (ModelInvalidRequestError(), K.INVALID_REQUEST),
        (ContextOverflowError(), K.CONTEXT_OVERFLOW),
        (AllModelsFailedError("chat-completion"), K.OVERLOADED),
        (NoAvailableModelError("chat-completion"), K.OVERLOADED),
        (UnsupportedByModelError("no tools"), K.UNSUPPORTED),
        (openai.RateLimitError("slow", response=answered(429), body=None), K.RATE_LIMITED),
        (openai.APIConnectionError(request=REQUEST), K.CONNECTION),
        (openai.APITimeoutError(REQUEST), K.TIMEOUT),
        (openai.APIError("an event in the stream", REQUEST, body=None), K.SERVER_ERROR),
        (httpx.RemoteProtocolError("peer closed connection"), K.PROTOCOL),
        (httpx.ConnectError("refused"), K.CONNECTION),
        (httpx.ReadTimeout("slow"), K.TIMEOUT),
        (ConnectionResetError(), K.CONNECTION),
        (json.JSONDecodeError("cut", "{", 1), K.PROTOCOL),
        (ValueError("Unexpected response type from OpenAI-compatible endpoint. <h1>"), K.PROTOCOL),
        (ValueError({"message": "engine failed"}), K.PROTOCOL),
        (TypeError("Received response with null value for 'choices'."), K.PROTOCOL),
        (ValueError("Unrecognized content block type"), K.INVALID_REQUEST),
        (TypeError("unexpected keyword argument"), K.INVALID_REQUEST),
    ],
)
def test_exception_has_its_kind(error: Exception, kind: FailureKind) -> None:
    failure = failure_of(error)
    assert failure.kind is kind
    assert failure.error is error


def test_status_wins_over_the_class() -> None:
    error = openai.BadRequestError("no key", response=answered(401), body=None)
    assert failure_of(error).kind is K.AUTH


def test_retry_after_is_read_from_openai_and_litellm_alike() -> None:
    import litellm  # noqa: PLC0415 - seconds, which the other tests here need not wait for

    slow = answered(429, **{"retry-after": "3"})
    direct = openai.RateLimitError("slow", response=slow, body=None)
    wrapped: Any = litellm.RateLimitError("slow", llm_provider="openai", model="m")
    wrapped.litellm_response_headers = httpx.Headers({"Retry-After": "4"})
    assert failure_of(direct).retry_after_s == 3
    assert failure_of(wrapped).retry_after_s == 4


def test_status_that_litellm_made_up_gives_way_to_the_cause() -> None:
    import litellm  # noqa: PLC0415 - seconds, which the other tests here need not wait for

    made_up = litellm.InternalServerError("Connection error.", llm_provider="openai", model="m")
    assert failure_of(made_up).kind is K.CONNECTION
    made_up.__cause__ = openai.APIConnectionError(request=REQUEST)
    failure = failure_of(made_up)
    assert (failure.kind, failure.status) == (K.CONNECTION, None)
    made_up.__cause__ = httpx.HTTPStatusError("slow", request=REQUEST, response=answered(500))
    assert failure_of(made_up).kind is K.SERVER_ERROR


def test_parameter_that_litellm_refuses_for_one_model_is_no_fault_of_the_caller() -> None:
    import litellm  # noqa: PLC0415 - seconds, which the other tests here need not wait for

    error = litellm.UnsupportedParamsError("no seed", llm_provider="x", model="m")
    assert failure_of(error).kind is K.UNSUPPORTED


def test_pool_without_models_is_a_model_error_that_no_retry_helps() -> None:
    chat = ChatCapabilityRouter(router=CapabilityRouter(), capability="chat-completion")
    with pytest.raises(NoAvailableChatModelError) as caught:
        chat.invoke("good day")
    assert isinstance(caught.value, NoAvailableModelError)
    assert isinstance(caught.value, ModelError)
    assert not caught.value.is_retryable


def test_pool_whose_models_come_back_is_worth_a_retry(lab: Lab) -> None:
    lab["alpha"].fault = lab["beta"].fault = rate_limited(retry_after=7)
    chat = through_own_models(lab)
    with pytest.raises(ModelError):
        chat.invoke("good day")
    with pytest.raises(NoAvailableModelError) as caught:
        chat.invoke("good day")
    assert isinstance(caught.value, NoAvailableChatModelError)
    assert caught.value.is_retryable
    assert caught.value.retry_after_s is not None
    assert lab["alpha"].request_count == 1
