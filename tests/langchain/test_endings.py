"""Why a whole answer ended, as the chat models of three makers tell it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from langchain_capability_router import AllChatModelsFailedError, ChatCapabilityRouter
from tests.connections import run
from tests.langchain.test_check_chat_model import of_anthropic, of_openai
from tests.litellm.test_endings import anthropics, geminis, openais
from tests.vendors import Answer, Scripted, scripted


def openai(url: str) -> ChatOpenAI:
    return of_openai(url)


def anthropic(url: str) -> ChatAnthropic:
    return of_anthropic(url)


def google(url: str) -> ChatGoogleGenerativeAI:
    key = SecretStr("lab")
    return ChatGoogleGenerativeAI(
        base_url=url, google_api_key=key, model="gemini-2.0-flash", max_retries=1
    )


MAKERS: list[tuple[Callable[[str], BaseChatModel], Callable[[str | None], Any], str, str]] = [
    (openai, openais, "stop", "error"),
    (anthropic, anthropics, "max_tokens", "error"),
    (google, geminis, "STOP", "MALFORMED_FUNCTION_CALL"),
]
EACH = pytest.mark.parametrize(("make", "body", "word", "error"), MAKERS)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


@EACH
def test_answer_without_a_reason_is_none(
    server: Scripted, make: Any, body: Any, word: str, error: str
) -> None:
    chat = ChatCapabilityRouter.from_models({"lab/m": make(server.url)})
    ways: list[Callable[[str], object]] = [chat.invoke, lambda text: run(chat.ainvoke(text))]
    for reason in (None, "missing", error):
        server.answer = Answer(200, body(reason))
        # Google's async client warns of its own parts.
        for ask in ways[: 1 if make is google else 2]:
            with pytest.raises(AllChatModelsFailedError) as caught:
                ask("x")
            assert caught.value.attempts[-1].kind == "protocol", reason
    server.answer = Answer(200, body(word))
    assert chat.invoke("x").text == "Fine."


def test_answer_of_nothing_at_all_is_none(server: Scripted) -> None:
    server.answer = Answer(200, {})
    chat = ChatCapabilityRouter.from_models({"lab/m": google(server.url)})
    with pytest.raises(AllChatModelsFailedError):
        chat.invoke("x")


def test_message_of_anthropic_that_holds_nothing_is_none(server: Scripted) -> None:
    empty = {"content": [], "usage": {"input_tokens": 3, "output_tokens": 0}}
    server.answer = Answer(200, anthropics("end_turn") | empty)
    chat = ChatCapabilityRouter.from_models({"lab/m": anthropic(server.url)})
    with pytest.raises(AllChatModelsFailedError):
        chat.invoke("x")


def test_chat_model_of_a_maker_nobody_knows_needs_no_reason() -> None:
    chat = ChatCapabilityRouter.from_models({"lab/m": FakeListChatModel(responses=["Fine."])})
    assert chat.invoke("x").text == "Fine."
