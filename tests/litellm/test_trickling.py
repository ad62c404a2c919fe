"""An attempt ends in time although its provider keeps the connection alive."""

from __future__ import annotations

from collections.abc import Callable

import litellm
import pytest

from capability_router import (
    CapabilityRouter,
    FailureKind,
    Model,
    Priority,
    Provider,
    RetryPolicy,
    RotationPolicy,
)
from capability_router.lab import Lab
from langchain_capability_router import ChatCapabilityRouter
from litellm_capability_router import attach
from tests.connections import connections, run
from tests.langchain.pools import collected, joined
from tests.litellm.surfaces import SURFACES, Surface
from tests.trickling import trickling


def by_litellm(surface: Surface) -> Callable[[CapabilityRouter], str]:
    def ask(router: CapabilityRouter) -> str:
        host = litellm.Router(model_list=[])
        attach(host, router)
        return surface(host)

    return ask


def chat(router: CapabilityRouter) -> ChatCapabilityRouter:
    return ChatCapabilityRouter(router=router, capability="chat-completion")


ASKS: dict[str, Callable[[CapabilityRouter], str]] = {
    **{name: by_litellm(surface) for name, surface in SURFACES.items()},
    "invoke": lambda router: str(chat(router).invoke("count to three").text),
    "ainvoke": lambda router: str(run(chat(router).ainvoke("count to three")).text),
    "stream": lambda router: str(joined(chat(router).stream("count to three")).text),
    "astream": lambda router: str(
        joined(run(collected(chat(router).astream("count to three")))).text
    ),
}


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_attempt_is_given_up_and_the_next_model_serves(
    ask: Callable[[CapabilityRouter], str],
) -> None:
    policy = RotationPolicy(selection=Priority, retry=RetryPolicy(attempt_timeout_s=0.3))
    with trickling() as url, Lab(["beta"], answers="echo") as lab, connections():
        providers = [
            Provider("alpha", base_url=url),
            Provider("beta", base_url=lab["beta"].base_url),
        ]
        router = CapabilityRouter(providers=providers, policy=policy)
        for provider in providers:
            router.register(Model(f"{provider.id}/m", ("chat-completion",)))
        assert "beta echoes" in ask(router)
        first, second = router.decisions[-1].attempts
    assert (first.kind, second.kind) == (FailureKind.TIMEOUT, None)
    assert router.state("alpha/m").consecutive_failures == 1
