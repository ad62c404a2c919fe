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
from tests.litellm.surfaces import astream, async_
from tests.trickling import trickling


def by_litellm(router: CapabilityRouter) -> str:
    host = litellm.Router(model_list=[])
    attach(host, router)
    return async_(host)


def by_litellm_stream(router: CapabilityRouter) -> str:
    host = litellm.Router(model_list=[])
    attach(host, router)
    return astream(host)


def by_langchain(router: CapabilityRouter) -> str:
    chat = ChatCapabilityRouter(router=router, capability="chat-completion")
    return str(run(chat.ainvoke("count to three")).text)


def by_langchain_stream(router: CapabilityRouter) -> str:
    chat = ChatCapabilityRouter(router=router, capability="chat-completion")
    return str(joined(run(collected(chat.astream("count to three")))).text)


@pytest.mark.parametrize("ask", [by_litellm, by_litellm_stream, by_langchain, by_langchain_stream])
def test_async_attempt_is_given_up_and_the_next_model_serves(
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
