"""Routers on a real server, cut off from it by a proxy: what holds of their calls all the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from random import Random
from threading import Event, Thread

import pytest

from capability_router.engine.errors import NoAvailableModelError
from capability_router.engine.events import EventType, RoutingEvent
from capability_router.engine.limits import Limit, Unit
from capability_router.engine.model import Model
from capability_router.router import CapabilityRouter
from capability_router.storage.redis_store import RedisStore
from capability_router.storage.store import Answer, Exchange, News
from tests.storage.proxy import Proxy

CHAT = ("chat-completion",)
LIMIT, ROUTERS, CUTS = 300, 3, 12
LONG_S = 60.0


@pytest.fixture
def proxies(valkey_url: str) -> Iterator[list[Proxy]]:
    port = int(valkey_url.rpartition(":")[2].partition("/")[0])
    with ExitStack() as stack:
        yield [stack.enter_context(Proxy(port)) for _ in range(ROUTERS)]


@pytest.fixture
def routers(proxies: list[Proxy], namespace: str) -> Iterator[list[CapabilityRouter]]:
    made = [CapabilityRouter() for _ in proxies]
    for router, proxy in zip(made, proxies, strict=True):
        router.register(Model("alpha/x", CHAT, limits=(Limit(Unit.REQUESTS, LIMIT, strict=True),)))
        url = f"redis://127.0.0.1:{proxy.port}"
        router.share_state(RedisStore(url, namespace=namespace, timeout_s=0.3))
    yield made
    for router in made:
        router.close()


def waiter(router: CapabilityRouter, what: EventType) -> Event:
    heard = Event()

    def note(_: RoutingEvent) -> None:
        heard.set()

    router.emitter.subscribe(note, what)
    return heard


class Caller:
    """Asks a router again and again in a thread, and counts its calls as a provider would."""

    def __init__(self, router: CapabilityRouter) -> None:
        self._router = router
        self.calls = 0
        self.stopped = Event()
        self.thread = Thread(target=self._ask)
        self.thread.start()

    def _ask(self) -> None:
        while not self.stopped.is_set():
            with suppress(NoAvailableModelError):
                self._router.call("chat-completion", self._answer)
            self.stopped.wait(0.001)

    def _answer(self, model: Model) -> str:
        self.calls += 1
        return model.id


@pytest.mark.parametrize("seed", [1, 2])
def test_no_more_calls_are_made_than_there_are_whoever_is_cut_off(
    routers: list[CapabilityRouter], proxies: list[Proxy], seed: int
) -> None:
    random = Random(seed)
    callers = [Caller(router) for router in routers]
    for _ in range(CUTS):
        proxy = random.choice(proxies)
        random.choice([proxy.cut, proxy.refuse, proxy.swallow, proxy.drop_next_answer])()
        Event().wait(random.uniform(0.05, 0.4))
        proxy.heal()
    for caller in callers:
        caller.stopped.set()
        caller.thread.join()
    assert 0 < sum(caller.calls for caller in callers) <= LIMIT


def test_no_call_waits_for_a_store_that_says_nothing(proxies: list[Proxy], namespace: str) -> None:
    # So patient that whoever waited for it would not come to an end in this test.
    patient = RedisStore(f"redis://127.0.0.1:{proxies[0].port}", namespace=namespace, timeout_s=600)
    router = CapabilityRouter()
    router.register(Model("beta/free", CHAT, limits=(Limit(Unit.REQUESTS, 10_000),)))
    router.share_state(patient)
    proxies[0].swallow()
    router.deactivate("beta/free")
    assert proxies[0].swallowed.wait(LONG_S)
    router.recover("beta/free")
    for _ in range(400):
        router.call("chat-completion", lambda model: model.id)
    assert router.state_lost is None
    proxies[0].heal()
    router.close()


def test_a_store_is_lost_and_returns_and_both_are_said(
    routers: list[CapabilityRouter], proxies: list[Proxy]
) -> None:
    router = routers[0]
    lost = waiter(router, EventType.STATE_STORE_LOST)
    proxies[0].swallow()
    assert lost.wait(LONG_S)
    assert router.state_lost is not None
    returned = waiter(router, EventType.STATE_STORE_RETURNED)
    proxies[0].heal()
    assert returned.wait(LONG_S)
    assert router.state_lost is None


def test_what_was_learnt_while_cut_off_reaches_the_others_afterwards(
    routers: list[CapabilityRouter], proxies: list[Proxy]
) -> None:
    first, second = routers[:2]
    heard, lost = (
        waiter(second, EventType.MODEL_DEACTIVATED),
        waiter(first, EventType.STATE_STORE_LOST),
    )
    proxies[0].refuse()
    first.pool("chat-completion")
    first.deactivate("alpha/x", "seen while alone")
    assert lost.wait(LONG_S)
    assert not heard.is_set()
    proxies[0].heal()
    assert heard.wait(LONG_S)
    assert [s.reason for s in second.pool("chat-completion").get_standby()] == ["seen while alone"]


class Raising:
    """A store of somebody who has not read the contract."""

    def exchange(self, exchange: Exchange) -> Answer:
        raise RuntimeError("not as promised")

    def listen(self, timeout_s: float) -> Sequence[News]:
        raise RuntimeError("not as promised")

    def close(self) -> None:
        """Nothing is open."""


def test_a_store_that_raises_what_it_should_not_is_lost_and_ends_no_thread() -> None:
    router = CapabilityRouter()
    router.register(Model("alpha/x", CHAT))
    router.share_state(Raising())
    lost = router.state_lost
    assert lost is not None
    assert "RuntimeError: not as promised" in str(lost)
    assert router.call("chat-completion", lambda model: model.id) == "alpha/x"
    router.close()


def test_a_router_that_goes_over_to_another_store_counts_there_what_it_has_used(
    namespace: str, valkey_url: str
) -> None:
    router = CapabilityRouter()
    router.register(Model("alpha/x", CHAT, limits=(Limit(Unit.REQUESTS, LIMIT),)))
    router.share_state(RedisStore(valkey_url, namespace=f"{namespace}-1"))
    router.call("chat-completion", lambda model: model.id)
    router.share_state(RedisStore(valkey_url, namespace=f"{namespace}-2"))
    router.close()
    other = CapabilityRouter()
    other.register(Model("alpha/x", CHAT, limits=(Limit(Unit.REQUESTS, LIMIT),)))
    other.share_state(RedisStore(valkey_url, namespace=f"{namespace}-2"))
    (forecast,) = other.pool("chat-completion").forecast()
    other.close()
    assert forecast.taken == 1
