"""Two models of two lab providers as one chat model, and the four ways to ask it."""

from collections.abc import AsyncIterator, Callable, Iterable
from functools import reduce
from operator import add
from typing import TypeVar

import httpx
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from capability_router import CapabilityRouter, Model, Provider, Secret
from capability_router.lab import Lab, LabProvider
from capability_router.testing.clock import ManualClock
from langchain_capability_router import ChatCapabilityRouter
from tests.connections import close_later, run

T = TypeVar("T")
Build = Callable[..., ChatCapabilityRouter]
Ask = Callable[[ChatCapabilityRouter, str], AIMessage]


def router_of(lab: Lab, names: Iterable[str] = ("alpha", "beta")) -> CapabilityRouter:
    """Return a router with one model ``<provider>/tiny`` for each named provider, in this order."""
    router = CapabilityRouter(
        providers=[Provider(p.name, base_url=p.base_url, api_key=Secret("lab")) for p in lab],
        clock=ManualClock(),
        seed=1,
    )
    for name in names:
        router.register(Model(f"{name}/tiny", ("chat-completion",)))
    return router


def through_litellm(lab: Lab, **settings: object) -> ChatCapabilityRouter:
    return ChatCapabilityRouter.model_validate(
        {"router": router_of(lab), "capability": "chat-completion", **settings}
    )


def through_own_models(lab: Lab, **settings: object) -> ChatCapabilityRouter:
    models: dict[str, BaseChatModel] = {f"{p.name}/tiny": chat_openai(p) for p in lab}
    return through_litellm(lab, models=models, **settings)


def chat_openai(provider: LabProvider, model: str = "tiny") -> ChatOpenAI:
    # Nothing here speaks TLS, and reading the certificates takes longer than the test.
    client, async_client = httpx.Client(verify=False), httpx.AsyncClient(verify=False)
    close_later(client, async_client)
    return ChatOpenAI(
        http_client=client,
        http_async_client=async_client,
        model=model,
        base_url=provider.base_url,
        api_key=SecretStr("lab"),
        max_retries=0,
        stream_usage=True,
    )


def clock_of(chat: ChatCapabilityRouter) -> ManualClock:
    assert isinstance(chat.router.clock, ManualClock)
    return chat.router.clock


def invoke(chat: ChatCapabilityRouter, text: str) -> AIMessage:
    return chat.invoke(text)


def ainvoke(chat: ChatCapabilityRouter, text: str) -> AIMessage:
    return run(chat.ainvoke(text))


def stream(chat: ChatCapabilityRouter, text: str) -> AIMessage:
    return joined(chat.stream(text))


def astream(chat: ChatCapabilityRouter, text: str) -> AIMessage:
    return joined(run(collected(chat.astream(text))))


def joined(chunks: Iterable[AIMessageChunk]) -> AIMessageChunk:
    return reduce(add, chunks)


async def collected(chunks: AsyncIterator[AIMessageChunk]) -> list[AIMessageChunk]:
    return [chunk async for chunk in chunks]


BUILDS: dict[str, Build] = {"litellm": through_litellm, "own models": through_own_models}
WAYS: dict[str, Ask] = {
    "invoke": invoke,
    "ainvoke": ainvoke,
    "stream": stream,
    "astream": astream,
}
STREAMS: dict[str, Ask] = {name: WAYS[name] for name in ("stream", "astream")}
