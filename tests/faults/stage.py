"""Two models at two providers of a lab, under one of two policies, and who can ask them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import httpx
import litellm
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from capability_router import (
    CapabilityRouter,
    Feature,
    Model,
    Price,
    Priority,
    Provider,
    RetryPolicy,
    RotationPolicy,
    Secret,
)
from capability_router.clock import SystemClock, WaitingClock
from capability_router.engine.state import ModelState
from capability_router.lab import Lab
from capability_router.testing import ManualClock
from langchain_capability_router import ChatCapabilityRouter
from litellm_capability_router import attach, register_provider
from tests.connections import close_later, connections
from tests.faults.asking import Asked

__all__ = ["LIMIT_S", "PROFILES", "Bench", "Stage", "bench"]

LIMIT_S = 0.5
"""Seconds to a first token, and of a silence, where a fault has to be waited for."""

_TIMES = tuple(each.name for each in fields(RetryPolicy) if each.name.endswith("_s"))


def _default(limit_s: float | None) -> RetryPolicy:
    if limit_s is None:
        return RetryPolicy()
    return RetryPolicy(attempt_timeout_s=limit_s, stall_timeout_s=limit_s)


def _patient(limit_s: float | None) -> RetryPolicy:
    policy = RetryPolicy.patient()
    if limit_s is None:
        return policy
    assert policy.first_token_timeout_s is not None
    scale = limit_s / policy.first_token_timeout_s
    times: dict[str, float | None] = {name: getattr(policy, name) for name in _TIMES}
    scaled: dict[str, Any] = {name: t * scale for name, t in times.items() if t is not None}
    return replace(policy, **scaled)


PROFILES: Mapping[str, Callable[[float | None], RetryPolicy]] = {
    "default": _default,
    "patient": _patient,
}
"""The policies as they come, or with a short limit for a fault that has to be waited for: all else
is given the time of a machine that has other things to do. All times of ``patient`` are scaled by
the one factor that makes its 10 s to the first token the limit: a twentieth."""

PRICE = Price(input=1.0, output=10.0)
_FEATURES = frozenset({Feature.STREAMING, Feature.TOOL_CALLING, Feature.TOOL_CHOICE})


@dataclass(frozen=True)
class Bench:
    """What many cells share, one after the other.

    Attributes:
        lab: The providers alpha and beta.
        clock: Of the routers and of the lab; it stands still but for what is waited.
        clients: Of the chat models that are LangChain objects.
        stretch: What the short times are multiplied by, for a machine that is busy.
    """

    lab: Lab
    clock: ManualClock
    clients: tuple[httpx.Client, httpx.AsyncClient]
    stretch: float = 1.0

    def stage(
        self,
        asked: Asked,
        retry: RetryPolicy,
        seed: int,
        *,
        windows: Mapping[str, int],
        continues: bool,
        real: bool,
    ) -> Stage:
        """Make every provider as new, and a router that knows nothing of them yet.

        Args:
            asked: What the caller asks.
            retry: How hard a call tries.
            seed: Of the router's chance.
            windows: Context windows of the models, by provider.
            continues: Whether the models are declared to go on with an answer.
            real: Whether the router goes by the machine's clock.
        """
        self.lab.reset()
        self.clock.slept.clear()
        clock = SystemClock() if real else self.clock
        router = CapabilityRouter(
            providers=[
                Provider(p.name, base_url=p.base_url, api_key=Secret("lab-key")) for p in self.lab
            ],
            policy=RotationPolicy(selection=Priority, retry=retry),
            clock=clock,
            seed=seed,
        )
        features = _FEATURES | ({Feature.ASSISTANT_PREFILL} if continues else set())
        for provider in self.lab:
            model = Model(
                f"{provider.name}/model-of-{provider.name}",
                ("chat-completion",),
                features=features,
                price=PRICE,
                context_window=windows.get(provider.name),
            )
            router.register(model)
        return Stage(self.lab, router, clock, asked, self.clients)


@dataclass
class Stage:
    """One router with a model at each provider, alpha before beta, and all who can ask it."""

    lab: Lab
    router: CapabilityRouter
    clock: WaitingClock
    asked: Asked
    clients: tuple[httpx.Client, httpx.AsyncClient]

    @cached_property
    def chat(self) -> ChatCapabilityRouter:
        """A chat model that reaches its models through LiteLLM."""
        return self._chat({})

    @cached_property
    def own_chat(self) -> ChatCapabilityRouter:
        """A chat model that reaches its models as LangChain objects."""
        return self._chat({model.id: self._chat_openai(model) for model in self.router.models})

    @cached_property
    def attached(self) -> Any:
        """A Router of LiteLLM."""
        host = litellm.Router(model_list=[])
        attach(host, self.router)
        return host

    def state(self, provider: str) -> ModelState:
        return self.router.state(f"{provider}/model-of-{provider}")

    def resting(self) -> list[str]:
        pool = self.router.pool("chat-completion")
        return [model.provider for model in pool.get_standby_models()]

    @cached_property
    def functions(self) -> Any:
        """LiteLLM itself, with this router as its provider ``capability``."""
        register_provider(self.router)
        return litellm

    def _chat(self, models: Mapping[str, BaseChatModel]) -> ChatCapabilityRouter:
        return ChatCapabilityRouter(router=self.router, models=models)

    def _chat_openai(self, model: Model) -> BaseChatModel:
        client, async_client = self.clients
        return ChatOpenAI(
            http_client=client,
            http_async_client=async_client,
            model=model.name,
            base_url=self.router.provider(model.provider).base_url,
            api_key=SecretStr("lab-key"),
            max_retries=0,
            stream_usage=True,
        )


@contextmanager
def bench() -> Iterator[Bench]:
    """Start two providers, and close every connection to them in the end."""
    before = litellm.custom_provider_map
    clock = ManualClock()
    with Lab(["alpha", "beta"], "echo", clock=clock.now) as lab, connections():
        # Nothing here speaks TLS, and reading the certificates takes longer than a call.
        clients = (
            httpx.Client(verify=False, follow_redirects=True),
            httpx.AsyncClient(verify=False, follow_redirects=True),
        )
        close_later(*clients)
        try:
            yield Bench(lab, clock, clients)
        finally:
            litellm.custom_provider_map = before
