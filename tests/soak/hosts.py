"""Every way to ask for a capability: through each host, whole and streamed, sync and async."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing, closing
from dataclasses import dataclass
from typing import Any

import httpx
import httpx2
import litellm
from langchain_core.exceptions import ModelError
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from openai import OpenAIError
from pydantic import SecretStr

from capability_router import CapabilityRouter, CapabilityRouterError, CompletionRequest, Model
from capability_router.engine.errors import IncompleteAnswerError
from langchain_capability_router import ChatCapabilityRouter
from langchain_capability_router.loops import is_the_clients_loop
from litellm_capability_router import attach, register_provider
from tests.soak.questions import Heard, LeftError, Question
from tests.soak.routing import CHAT

__all__ = ["ASYNC", "CONTROL_ASYNC", "CONTROL_SYNC", "SYNC", "Hosts", "Surface"]

# Nothing here speaks TLS, and reading the certificates takes long.
_CLIENT: dict[str, Any] = {"verify": False, "timeout": 60}
# So few that they, and the memory they take, are as many whenever nothing is to be done.
_IDLE = {"max_keepalive_connections": 4}


class Hosts:
    """The hosts of one router, with clients that can be closed.

    Args:
        router: Who is asked in the end.
        urls: Where the providers are, for clients of one's own.
    """

    def __init__(self, router: CapabilityRouter, urls: Mapping[str, str]) -> None:
        self.router = router
        self.urls = urls
        self.client = httpx.Client(**_CLIENT, limits=httpx.Limits(**_IDLE))
        self._async_clients: dict[asyncio.AbstractEventLoop, httpx2.AsyncClient] = {}
        # Of httpx2: httpx 0.28 never closes the connection of who is cancelled while it connects.
        # A pool of chat models uses it in one loop only, whatever loops it is asked in.
        self._for_chat_models = httpx2.AsyncClient(**_CLIENT, limits=httpx2.Limits(**_IDLE))
        # Half of the models have a chat model of their own, the others go through LiteLLM.
        own: dict[str, BaseChatModel] = {
            f"{name}/m": self._chat_model(url) for name, url in urls.items()
        }
        self.chat = ChatCapabilityRouter(router=router, capability=CHAT, models=own)
        self.attached: Any = litellm.Router(model_list=[])
        attach(self.attached, router)
        register_provider(router)

    def client_of_loop(self) -> httpx2.AsyncClient:
        """Return the client of the event loop that runs."""
        loop = asyncio.get_running_loop()
        if loop not in self._async_clients:
            self._async_clients[loop] = httpx2.AsyncClient(**_CLIENT, limits=httpx2.Limits(**_IDLE))
        return self._async_clients[loop]

    async def aclose(self) -> None:
        """Close what belongs to the event loop that runs."""
        client = self._async_clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()
        if is_the_clients_loop():
            await self._for_chat_models.aclose()

    def close(self) -> None:
        """Close what belongs to no event loop."""
        self.client.close()

    def _chat_model(self, url: str) -> ChatOpenAI:
        return ChatOpenAI(
            http_client=self.client,
            http_async_client=self._for_chat_models,
            model="m",
            base_url=url,
            api_key=SecretStr("lab"),
            max_retries=0,
            stream_usage=True,
        )


def invoke(hosts: Hosts, heard: Heard) -> None:
    answer = hosts.chat.invoke(heard.question.prompt, **_for_chat(heard.question))
    heard.take(answer.text, answer.response_metadata["finish_reason"])


async def ainvoke(hosts: Hosts, heard: Heard) -> None:
    answer = await hosts.chat.ainvoke(heard.question.prompt, **_for_chat(heard.question))
    heard.take(answer.text, answer.response_metadata["finish_reason"])


def stream(hosts: Hosts, heard: Heard) -> None:
    chunks: Any = hosts.chat.stream(heard.question.prompt, **_for_chat(heard.question))
    with closing(chunks):
        for chunk in chunks:
            _take_message(chunk, heard)


async def astream(hosts: Hosts, heard: Heard) -> None:
    chunks: Any = hosts.chat.astream(heard.question.prompt, **_for_chat(heard.question))
    async with aclosing(chunks):
        async for chunk in chunks:
            _take_message(chunk, heard)


def _for_chat(question: Question) -> dict[str, Any]:
    return {"pool": question.pool, "deadline": question.own_deadline_s}


def _take_message(chunk: Any, heard: Heard) -> None:
    told = chunk.response_metadata
    restarted = bool(told.get("stream_restarted"))
    heard.take(chunk.text, told.get("finish_reason"), restarted=restarted)
    if heard.is_enough:
        raise LeftError


def completion(hosts: Hosts, heard: Heard) -> None:
    _take_answer(hosts.attached.completion(**_for_litellm(heard.question, CHAT)), heard)


async def acompletion(hosts: Hosts, heard: Heard) -> None:
    _take_answer(await hosts.attached.acompletion(**_for_litellm(heard.question, CHAT)), heard)


def completion_stream(hosts: Hosts, heard: Heard) -> None:
    chunks = hosts.attached.completion(**_for_litellm(heard.question, CHAT), stream=True)
    with closing(chunks):
        _take_chunks(chunks, heard)


async def acompletion_stream(hosts: Hosts, heard: Heard) -> None:
    chunks = await hosts.attached.acompletion(**_for_litellm(heard.question, CHAT), stream=True)
    async with aclosing(chunks):
        await _atake_chunks(chunks, heard)


def provider(hosts: Hosts, heard: Heard) -> None:
    _take_answer(litellm.completion(**_for_litellm(heard.question, f"capability/{CHAT}")), heard)


async def aprovider(hosts: Hosts, heard: Heard) -> None:
    _take_answer(
        await litellm.acompletion(**_for_litellm(heard.question, f"capability/{CHAT}")), heard
    )


def provider_stream(hosts: Hosts, heard: Heard) -> None:
    chunks: Any = litellm.completion(
        **_for_litellm(heard.question, f"capability/{CHAT}"), stream=True
    )
    # LiteLLM's own stream has no method to close it; the one that it reads from has.
    with closing(chunks.completion_stream):
        _take_chunks(chunks, heard)


async def aprovider_stream(hosts: Hosts, heard: Heard) -> None:
    chunks: Any = await litellm.acompletion(
        **_for_litellm(heard.question, f"capability/{CHAT}"), stream=True
    )
    async with aclosing(chunks):
        await _atake_chunks(chunks, heard)


def _for_litellm(question: Question, model: str) -> dict[str, Any]:
    options: dict[str, Any] = {"pool": question.pool}
    if question.own_deadline_s is not None:
        options["deadline_s"] = question.own_deadline_s
    messages = [{"role": "user", "content": question.prompt}]
    return {"model": model, "messages": messages, "capability_router": options}


def _take_answer(answer: Any, heard: Heard) -> None:
    choice = answer.choices[0]
    heard.take(choice.message.content or "", choice.finish_reason)


def _take_chunks(chunks: Any, heard: Heard) -> None:
    for chunk in chunks:
        _take_chunk(chunk, heard)


async def _atake_chunks(chunks: Any, heard: Heard) -> None:
    async for chunk in chunks:
        _take_chunk(chunk, heard)


def _take_chunk(chunk: Any, heard: Heard) -> None:
    for choice in chunk.choices:
        told = getattr(choice.delta, "provider_specific_fields", None) or {}
        restarted = bool(told.get("stream_restarted"))
        heard.take(choice.delta.content or "", choice.finish_reason, restarted=restarted)
    if heard.is_enough:
        raise LeftError


def call(hosts: Hosts, heard: Heard) -> None:
    def attempt(model: Model) -> Any:
        return _whole(hosts.client.post(**_for_httpx(hosts, heard.question, model)))

    _take_body(hosts.router.call(_request(heard.question), attempt), heard)


async def acall(hosts: Hosts, heard: Heard) -> None:
    async def attempt(model: Model) -> Any:
        client = hosts.client_of_loop()
        return _whole(await client.post(**_for_httpx(hosts, heard.question, model)))

    _take_body(await hosts.router.acall(_request(heard.question), attempt), heard)


def _request(question: Question) -> CompletionRequest:
    return CompletionRequest(CHAT, pool=question.pool, deadline_s=question.own_deadline_s)


def _for_httpx(hosts: Hosts, question: Question, model: Model) -> dict[str, Any]:
    messages = [{"role": "user", "content": question.prompt}]
    url = f"{hosts.urls[model.provider]}/chat/completions"
    return {"url": url, "json": {"model": model.name, "messages": messages}}


def _whole(response: httpx.Response | httpx2.Response) -> Any:
    """Return the body of an answer; who brings a client brings the knowledge what an answer is."""
    body = response.raise_for_status().json()
    choice = body["choices"][0]
    if not choice["message"]["content"] and choice["finish_reason"] == "stop":
        raise IncompleteAnswerError
    return body


def _take_body(body: Any, heard: Heard) -> None:
    choice = body["choices"][0]
    heard.take(choice["message"]["content"] or "", choice["finish_reason"])


@dataclass(frozen=True, slots=True)
class Surface:
    """One way to ask.

    Attributes:
        name: For people.
        ask: Asks, and tells what came bit by bit.
        family: What its errors are besides being the router's; None where nothing is judged.
    """

    name: str
    ask: Callable[..., Any]
    family: type[Exception] | None


SYNC = [
    Surface("LangChain invoke", invoke, ModelError),
    Surface("LangChain stream", stream, ModelError),
    Surface("Router completion", completion, OpenAIError),
    Surface("Router completion, streamed", completion_stream, OpenAIError),
    Surface("provider completion", provider, OpenAIError),
    Surface("provider completion, streamed", provider_stream, OpenAIError),
    Surface("router.call", call, CapabilityRouterError),
]
ASYNC = [
    Surface("LangChain ainvoke", ainvoke, ModelError),
    Surface("LangChain astream", astream, ModelError),
    Surface("Router acompletion", acompletion, OpenAIError),
    Surface("Router acompletion, streamed", acompletion_stream, OpenAIError),
    Surface("provider acompletion", aprovider, OpenAIError),
    Surface("provider acompletion, streamed", aprovider_stream, OpenAIError),
    Surface("router.acall", acall, CapabilityRouterError),
]


def control(hosts: Hosts, heard: Heard) -> None:
    _take_answer(litellm.completion(**_alone(hosts, heard)), heard)


def control_stream(hosts: Hosts, heard: Heard) -> None:
    chunks: Any = litellm.completion(**_alone(hosts, heard), stream=True)
    _take_chunks(chunks, heard)


async def acontrol(hosts: Hosts, heard: Heard) -> None:
    _take_answer(await litellm.acompletion(**_alone(hosts, heard)), heard)


async def acontrol_stream(hosts: Hosts, heard: Heard) -> None:
    chunks: Any = await litellm.acompletion(**_alone(hosts, heard), stream=True)
    async with aclosing(chunks):
        await _atake_chunks(chunks, heard)


def _alone(hosts: Hosts, heard: Heard) -> dict[str, Any]:
    """Return the arguments of a call that LiteLLM makes without the router."""
    urls = list(hosts.urls.values())
    return {
        "model": "openai/m",
        "api_base": urls[heard.question.number % len(urls)],
        "api_key": "lab",
        "messages": [{"role": "user", "content": heard.question.prompt}],
        "timeout": 1.5,
        "max_retries": 0,
        "num_retries": 0,
    }


CONTROL_SYNC = [
    Surface("LiteLLM completion", control, None),
    Surface("LiteLLM completion, streamed", control_stream, None),
]
CONTROL_ASYNC = [
    Surface("LiteLLM acompletion", acontrol, None),
    Surface("LiteLLM acompletion, streamed", acontrol_stream, None),
]
