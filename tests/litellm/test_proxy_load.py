"""Five processes of one proxy under load, while providers come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import openai
import pytest

from capability_router.lab import (
    Lab,
    LabProvider,
    cut_stream,
    ok,
    overloaded,
    rate_limited,
    reset,
    server_error,
)
from tests.litellm.proxies import Proxy, deployment, proxy_config, running

_PROCESSES = 5
_REQUESTS = 600
_AT_ONCE = 10
_CHANGE_EVERY = 40
"""Answers after which a provider breaks, each in another way, or is well again.

More than are under way at a time: no request meets three changes, for each of which it would need
another provider.
"""

_FAULTS = (server_error(), reset(), rate_limited(retry_after=1), overloaded(), cut_stream(after=0))


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(["alpha", "beta", "gamma"], answers="echo") as lab:
        yield lab


@pytest.fixture
def proxy(lab: Lab, tmp_path: Path) -> Iterator[Proxy]:
    capabilities = ["chat-completion"]
    listed = [deployment(p.base_url, p.name, capabilities=capabilities) for p in lab]
    pool = {"hierarchy_node": "chat-completion", "strategy": "round-robin"}
    config = proxy_config(listed, capability_router={"pools": {"chats": pool}})
    with running(tmp_path, config, "--num_workers", str(_PROCESSES)) as proxy:
        yield proxy


class Flapping:
    """Breaks one provider after the other, as answers come in, and heals it before the next."""

    def __init__(self, lab: Lab) -> None:
        self.changes = 0
        self._answers = 0
        self._providers = cycle(lab)
        self._faults = cycle(_FAULTS)
        self._broken: LabProvider | None = None

    def answered(self) -> None:
        self._answers += 1
        if self._answers % _CHANGE_EVERY == 0:
            self.changes += 1
            self._change()

    def _change(self) -> None:
        if self._broken is not None:
            self._broken.fault = ok()
            self._broken = None
        else:
            self._broken = next(self._providers)
            self._broken.fault = next(self._faults)


async def asked(client: openai.AsyncOpenAI, number: int) -> str:
    """Ask one question, every other one for a stream, and return the whole answer."""
    question = f"number {number}"
    if number % 2:
        answer = await client.chat.completions.create(
            model="chat-completion", messages=[{"role": "user", "content": question}]
        )
        assert answer.choices[0].finish_reason == "stop"
        return answer.choices[0].message.content or ""
    text, reason = "", None
    chunks = await client.chat.completions.create(
        model="chat-completion", messages=[{"role": "user", "content": question}], stream=True
    )
    async for chunk in chunks:
        text += chunk.choices[0].delta.content or ""
        reason = chunk.choices[0].finish_reason or reason
    assert reason == "stop"
    return text


async def load(proxy: Proxy, flapping: Flapping) -> list[str | BaseException]:
    numbers = iter(range(_REQUESTS))
    answers: list[str | BaseException] = [""] * _REQUESTS

    async def caller() -> None:
        # A client of its own, so that the connections go to different processes.
        async with openai.AsyncOpenAI(
            base_url=f"{proxy.url}/v1", api_key=proxy.key, max_retries=0
        ) as client:
            for number in numbers:
                try:
                    answers[number] = await asked(client, number)
                except openai.OpenAIError as error:
                    answers[number] = error
                flapping.answered()

    await asyncio.gather(*(caller() for _ in range(_AT_ONCE)))
    return answers


@pytest.mark.timeout(420)
def test_no_request_is_lost_by_five_processes_while_providers_flap(lab: Lab, proxy: Proxy) -> None:
    flapping = Flapping(lab)
    answers = asyncio.run(load(proxy, flapping))
    lost = [answer for answer in answers if isinstance(answer, BaseException)]
    assert lost == []
    echoes = [
        any(answer == f"{provider.name} echoes: number {number}" for provider in lab)
        for number, answer in enumerate(answers)
    ]
    assert all(echoes)
    assert flapping.changes == _REQUESTS // _CHANGE_EVERY
    received = [
        [request.fault for request in provider.requests if request.method == "POST"]
        for provider in lab
    ]
    failed = [sum(fault not in (None, ok()) for fault in faults) for faults in received]
    assert sum(map(len, received)) == _REQUESTS + sum(failed)
    assert all(failed)
    # Each process learns by itself, and is not told for ever by failures what it knows already.
    assert sum(failed) < _REQUESTS / 4
    assert len(serving_processes(proxy)) > 1


def serving_processes(proxy: Proxy) -> set[int]:
    """Return the processes that have had calls; each connection goes to any one of them."""
    told = [proxy.get("/capability_router/decisions?limit=1").json() for _ in range(40)]
    return {each["process"] for each in told if each["decisions"]}
