"""One question through each surface of LiteLLM, and the set-up that all tests share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import litellm

from capability_router import (
    CapabilityRouter,
    Model,
    Priority,
    Provider,
    RetryPolicy,
    RotationPolicy,
    Secret,
)
from capability_router.lab import Lab
from capability_router.testing import ManualClock
from litellm_capability_router import attach, register_provider
from tests.connections import run

QUESTION = [{"role": "user", "content": "count to three"}]
CHAT = "generation.text-generation.chat-completion"


@dataclass
class Setup:
    """A model at each provider of the lab, best first, in one of the places where one can ask.

    Attributes:
        host: A LiteLLM Router that is attached, or LiteLLM's functions with our provider.
    """

    lab: Lab
    clock: ManualClock
    router: CapabilityRouter
    host: Any

    def calls(self) -> list[int]:
        return [provider.request_count for provider in self.lab]

    def resting(self) -> list[str]:
        return [model.id for model in self.router.pool("chat-completion").get_standby_models()]


class Functions:
    """LiteLLM's own functions, asked for ``capability/...``, in the form of a Router."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function: Callable[..., Any] = getattr(litellm, name)

        def ask(*, model: str, **arguments: Any) -> Any:
            return function(model=f"capability/{model}", **arguments)

        return ask


def attached(router: CapabilityRouter) -> Any:
    host = litellm.Router(model_list=[])
    attach(host, router)
    return host


def provided(router: CapabilityRouter) -> Any:
    register_provider(router)
    return Functions()


PLACES: dict[str, Callable[[CapabilityRouter], Any]] = {"Router": attached, "provider": provided}


def set_up(lab: Lab, place: Callable[[CapabilityRouter], Any] = attached, **retry: Any) -> Setup:
    clock = ManualClock()
    router = CapabilityRouter(
        providers=[Provider(p.name, base_url=p.base_url, api_key=Secret("lab-key")) for p in lab],
        policy=RotationPolicy(selection=Priority, retry=RetryPolicy(**retry)),
        clock=clock,
        seed=7,
    )
    for provider in lab:
        router.register(Model(f"{provider.name}/m", ("chat-completion",)))
    return Setup(lab, clock, router, place(router))


def sync(host: Any, **more: Any) -> str:
    answer = host.completion(model="chat-completion", messages=QUESTION, **more)
    return str(answer.choices[0].message.content)


def async_(host: Any, **more: Any) -> str:
    answer = run(host.acompletion(model="chat-completion", messages=QUESTION, **more))
    return str(answer.choices[0].message.content)


def stream(host: Any, **more: Any) -> str:
    chunks = host.completion(model="chat-completion", messages=QUESTION, stream=True, **more)
    return "".join(map(text_of, chunks))


def text_of(chunk: Any) -> str:
    return str(chunk.choices[0].delta.content or "") if chunk.choices else ""


def astream(host: Any, **more: Any) -> str:
    async def collect() -> str:
        chunks = await host.acompletion(
            model="chat-completion", messages=QUESTION, stream=True, **more
        )
        return "".join([text_of(chunk) async for chunk in chunks])

    return run(collect())


Surface = Callable[..., str]
SURFACES: dict[str, Surface] = {
    "completion": sync,
    "acompletion": async_,
    "completion(stream)": stream,
    "acompletion(stream)": astream,
}
