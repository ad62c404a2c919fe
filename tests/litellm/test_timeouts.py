"""LiteLLM keeps a client with its connections for each timeout: there must be few."""

from collections.abc import Callable, Iterator

import pytest

from capability_router.lab import Lab
from langchain_capability_router import ChatCapabilityRouter
from litellm_capability_router.timeouts import client_timeout_s
from tests.connections import connections
from tests.langchain import pools
from tests.litellm.surfaces import Surface, set_up


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(["alpha"], answers="echo") as lab, connections():
        yield lab


@pytest.mark.parametrize(
    ("limit_s", "told_s"), [(60.0, 64.0), (7.3, 8.0), (1.0, 1.0), (0.3, 0.5), (float("inf"),) * 2]
)
def test_client_waits_at_least_as_long_as_the_attempt_may_take(
    limit_s: float, told_s: float
) -> None:
    assert client_timeout_s(limit_s) == told_s


def test_attempt_without_any_time_left_still_has_a_timeout() -> None:
    assert 0 < client_timeout_s(0.0) < 0.01


def test_calls_with_a_deadline_share_their_connection(
    lab: Lab, place: Callable[..., object], ask: Surface
) -> None:
    setup = set_up(lab, place)
    for n in range(5):
        assert ask(setup.host, capability_router={"deadline_s": 20.0 + n})
    assert lab["alpha"].open_connections <= 1


@pytest.mark.parametrize("ask", list(pools.WAYS.values()), ids=list(pools.WAYS))
def test_calls_of_a_chat_model_with_a_deadline_share_their_connection(
    lab: Lab, ask: pools.Ask
) -> None:
    for n in range(5):
        router = pools.router_of(lab, ["alpha"])
        chat = ChatCapabilityRouter(router=router, deadline=20.0 + n)
        assert ask(chat, "good day").text
    assert lab["alpha"].open_connections <= 1
