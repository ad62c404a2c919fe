"""The check of chat models: what those that are installed show, and what it finds in bad ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from capability_router import CapabilityRouter, Model, Provider, Secret
from langchain_capability_router import ChatCapabilityRouter
from langchain_capability_router.testing import Shown, check_chat_model
from tests.connections import close_later, run

Make = Callable[[str], BaseChatModel]


def of_openai(url: str, kind: type[ChatOpenAI] = ChatOpenAI, **more: Any) -> ChatOpenAI:
    client, async_client = httpx.Client(verify=False), httpx.AsyncClient(verify=False)
    close_later(client, async_client)
    return kind(
        http_client=client,
        http_async_client=async_client,
        base_url=url,
        api_key=SecretStr("lab"),
        model="tiny",
        max_retries=0,
        **more,
    )


def of_anthropic(url: str) -> ChatAnthropic:
    root, key = url.removesuffix("/v1"), SecretStr("lab")
    chat = ChatAnthropic(base_url=root, api_key=key, model="claude-tiny", max_retries=0)
    close_later(chat._client._client, chat._async_client._client)
    return chat


INSTALLED: dict[str, Make] = {
    "ChatOpenAI": of_openai,
    "ChatOpenAI by responses": lambda url: of_openai(url, use_responses_api=True),
    "ChatAnthropic": of_anthropic,
}


@pytest.mark.parametrize("make", INSTALLED.values(), ids=INSTALLED)
def test_installed_chat_model_shows_each_cut(make: Make) -> None:
    report = check_chat_model(make, run=run)
    assert set(report.rows["cut, noticed by HTTP"].values()) == {Shown.RAISED}
    # A connection that ends is the end of a stream to these clients.
    ended = report.rows["cut, as if it had ended"]
    assert (ended["stream"], ended["astream"]) == (Shown.TOLD, Shown.TOLD)


def through_litellm(url: str) -> ChatCapabilityRouter:
    provider = Provider("lab", base_url=url, api_key=Secret("lab"))
    router = CapabilityRouter(providers=[provider])
    router.register(Model("lab/tiny", ("chat-completion",)))
    return ChatCapabilityRouter(router=router, capability="chat-completion")


def through_own_model(url: str) -> ChatCapabilityRouter:
    return ChatCapabilityRouter.from_models({"lab/tiny": of_openai(url)})


@pytest.mark.parametrize("make", [through_litellm, through_own_model])
def test_pool_raises_at_each_cut(make: Callable[[str], ChatCapabilityRouter]) -> None:
    pools: list[ChatCapabilityRouter] = []

    def kept(url: str) -> ChatCapabilityRouter:
        pools.append(make(url))
        return pools[0]

    report = check_chat_model(kept, run=run)
    shown = {each for row in report.rows.values() for each in row.values()}
    assert shown == {Shown.WHOLE, Shown.RAISED}
    decisions = pools[0].router.decisions
    assert len(decisions) == 4 * len(report.rows)
    assert all(decision.attempts for decision in decisions)


class EndsWhatIsCut(ChatOpenAI):
    """Adds an end to every stream, as LiteLLM does."""

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        yield from super()._stream(*args, **kwargs)
        yield ChatGenerationChunk(
            message=AIMessageChunk(content=""), generation_info={"finish_reason": "stop"}
        )


class NeverSaysWhy(ChatOpenAI):
    """Drops the finish reason of whole answers."""

    def _create_chat_result(self, *args: Any, **kwargs: Any) -> ChatResult:
        result = super()._create_chat_result(*args, **kwargs)
        for generation in result.generations:
            generation.generation_info = None
            generation.message.response_metadata = {}
        return result


class RaisesAlways(ChatOpenAI):
    """Cannot be used at all."""

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise ValueError("no")


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (EndsWhatIsCut, "stream() of an answer cut, as if it had ended: hidden"),
        (NeverSaysWhy, "invoke() of an answer well: no reason"),
        (RaisesAlways, "invoke() of an answer well: raised"),
    ],
)
def test_chat_model_that_hides_a_cut_fails_with_the_case_and_the_table(
    kind: type[ChatOpenAI], told: str
) -> None:
    with pytest.raises(AssertionError) as caught:
        check_chat_model(lambda url: of_openai(url, kind), run=run)
    lines = str(caught.value).splitlines()
    assert told in lines
    assert [line.split()[-1] for line in lines if line.startswith("web page")] == ["raised"]


def test_table_has_a_row_for_each_kind_of_answer() -> None:
    report = check_chat_model(of_openai, run=run)
    head, *rows = str(report).splitlines()
    assert head.split() == ["invoke", "ainvoke", "stream", "astream"]
    assert [row.split("  ")[0] for row in rows] == list(report.rows)


def test_check_brings_an_event_loop_of_its_own() -> None:
    used: list[BaseChatModel] = []

    def make(url: str) -> BaseChatModel:
        used.append(FakeListChatModel(responses=[url]))
        return used[-1]

    with pytest.raises(AssertionError, match="ainvoke\\(\\) of an answer well: told"):
        check_chat_model(make)
    assert len(used) == 1
