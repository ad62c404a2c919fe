"""One question through each surface of a LiteLLM Router, and the set-up that all tests share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import litellm

from capability_router import CapabilityRouter, Model, Priority, Provider, RotationPolicy, Secret
from capability_router.lab import Lab
from capability_router.testing import ManualClock
from litellm_capability_router import Attachment, attach
from tests.connections import run

QUESTION = [{"role": "user", "content": "count to three"}]
CHAT = "generation.text-generation.chat-completion"


@dataclass
class Setup:
    """A LiteLLM Router with a model at each provider of the lab, best first."""

    lab: Lab
    clock: ManualClock
    router: CapabilityRouter
    host: Any
    attachment: Attachment

    def calls(self) -> list[int]:
        return [provider.request_count for provider in self.lab]

    def resting(self) -> list[str]:
        return [model.id for model in self.router.pool("chat-completion").get_standby_models()]


def set_up(lab: Lab) -> Setup:
    clock = ManualClock()
    router = CapabilityRouter(
        providers=[Provider(p.name, base_url=p.base_url, api_key=Secret("lab-key")) for p in lab],
        policy=RotationPolicy(selection=Priority),
        clock=clock,
        seed=7,
    )
    for provider in lab:
        router.register(Model(f"{provider.name}/m", ("chat-completion",)))
    host = litellm.Router(model_list=[])
    return Setup(lab, clock, router, host, attach(host, router))


def sync(host: Any, **more: Any) -> str:
    answer = host.completion(model="chat-completion", messages=QUESTION, **more)
    return str(answer.choices[0].message.content)


def async_(host: Any, **more: Any) -> str:
    answer = run(host.acompletion(model="chat-completion", messages=QUESTION, **more))
    return str(answer.choices[0].message.content)


def stream(host: Any, **more: Any) -> str:
    chunks = host.completion(model="chat-completion", messages=QUESTION, stream=True, **more)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def astream(host: Any, **more: Any) -> str:
    async def collect() -> str:
        chunks = await host.acompletion(
            model="chat-completion", messages=QUESTION, stream=True, **more
        )
        return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

    return run(collect())


Surface = Callable[..., str]
SURFACES: dict[str, Surface] = {
    "completion": sync,
    "acompletion": async_,
    "completion(stream)": stream,
    "acompletion(stream)": astream,
}
