"""Many threads and event loops on one router: nothing raises, nothing is lost, nothing is left."""

import asyncio
from itertools import count
from random import Random

import pytest

from capability_router.engine.errors import CapabilityRouterError
from capability_router.engine.events import EventType
from capability_router.engine.model import Model
from capability_router.engine.reason import Reason
from capability_router.engine.recovery import Cooldown
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.selection import Priority, RoundRobin
from capability_router.router import CapabilityRouter
from tests.engine.building import CHAT, TEXT, ProviderError, model, together

THREADS, CALLS = 16, 1000


class RacingClock:
    """Every reading is a hundredth of a second later; safe for threads, and never goes back."""

    def __init__(self) -> None:
        self._ticks = count()

    def now(self) -> float:
        return next(self._ticks) / 100

    def wall(self) -> float:
        return self.now()

    def sleep(self, seconds: float) -> None:
        del seconds

    async def asleep(self, seconds: float) -> None:
        del seconds
        await asyncio.sleep(0)


class Flapping:
    """Attempts of one thread: every model but the last fails half of the time."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(seed)
        self.failures = 0

    def answer(self, asked: Model) -> str:
        if asked.provider != "steady" and self._rng.random() < 0.5:
            self.failures += 1
            raise ProviderError(self._rng.choice((401, 408, 429, 500, 503, 529)))
        return asked.id

    async def aanswer(self, asked: Model) -> str:
        await asyncio.sleep(0)
        return self.answer(asked)


# So short that models come and go all the time.
BRIEF = Cooldown(
    initial_s=0.1,
    max_s=0.5,
    slow_max_s=0.5,
    reason_cooldowns={Reason.AUTH_FAILURE: (0.2, 1.0)},
)


def flapping_router(
    selection: type[Priority | RoundRobin] = Priority,
) -> CapabilityRouter:
    policy = RotationPolicy(recovery=BRIEF, selection=selection)
    # No lease expires: the clock races on while the thread that holds it waits for its turn.
    router = CapabilityRouter(clock=RacingClock(), seed=1, policy=policy, lease_ttl_s=1e9)
    router.add_pool("text", TEXT)
    router.add_pool("chat", CHAT)
    for model_id in ("a/x", "a/y", "b/x", "c/x", "steady/x"):
        router.register(model(model_id))
    return router


def counted(router: CapabilityRouter) -> tuple[int, int, int]:
    states = [router.state(each.id) for each in router.models]
    return (
        sum(state.successes for state in states),
        sum(state.failures for state in states),
        sum(state.in_flight for state in states),
    )


@pytest.mark.parametrize("strategy", [Priority, RoundRobin])
def test_every_call_of_many_threads_succeeds_and_is_counted_once(
    strategy: type[Priority | RoundRobin],
) -> None:
    router = flapping_router(strategy)

    def work(attempts: Flapping) -> int:
        for _ in range(CALLS):
            assert router.call("chat-completion", attempts.answer)
        return attempts.failures

    failures = together(*[lambda seed=seed: work(Flapping(seed)) for seed in range(THREADS)])
    assert sum(failures) > THREADS * CALLS / 10
    assert counted(router) == (THREADS * CALLS, sum(failures), 0)


def test_two_event_loops_and_sync_threads_share_one_router() -> None:
    router = flapping_router()

    async def one_task(attempts: Flapping) -> None:
        for _ in range(20):
            assert await router.acall("chat-completion", attempts.aanswer)

    async def many_tasks(attempts: Flapping) -> None:
        await asyncio.gather(*[one_task(attempts) for _ in range(10)])

    def loop(seed: int) -> int:
        attempts = Flapping(seed)
        asyncio.run(many_tasks(attempts))
        return attempts.failures

    def sync(seed: int) -> int:
        attempts = Flapping(seed)
        for _ in range(200):
            assert router.call("chat-completion", attempts.answer)
        return attempts.failures

    failures = together(
        lambda: loop(1), lambda: loop(2), lambda: sync(3), lambda: sync(4), lambda: sync(5)
    )
    assert counted(router) == (5 * 200, sum(failures), 0)


def test_topology_may_change_under_traffic() -> None:
    router = flapping_router()

    def work(attempts: Flapping) -> int:
        for _ in range(CALLS // 5):
            assert router.call("chat-completion", attempts.answer)
        return 0

    def rebuild(worker: int) -> int:
        for number in range(60):
            model_id = f"guest-{worker}/x"
            router.register(model(model_id))
            router.deactivate(model_id, "rate_limited")
            router.recover(model_id)
            if not number % 20:
                router.add_pool(f"pool-{worker}-{number}", CHAT)
            router.tree.add_node("generation", f"node-{worker}-{number}")
            router.unregister(model_id)
        return 0

    jobs = [lambda seed=seed: work(Flapping(seed)) for seed in range(6)]
    together(*jobs, *[lambda worker=w: rebuild(worker) for w in range(3)])
    assert sorted(each.id for each in router.models) == ["a/x", "a/y", "b/x", "c/x", "steady/x"]
    assert counted(router)[2] == 0
    assert len(router.pool("text")) == len(router.models)


def test_state_may_be_read_under_traffic() -> None:
    router = flapping_router()

    def work(attempts: Flapping) -> int:
        for _ in range(CALLS):
            router.call("chat-completion", attempts.answer)
        return 0

    def read() -> int:
        for _ in range(CALLS):
            for pool in router.pools:
                state = pool.get_state()
                assert state.active_count + state.standby_count == 5
                assert len(pool.get_active_models()) + len(pool.get_standby_models()) <= 10
            assert len(router.decisions) <= 1000
        return 0

    together(*[lambda seed=seed: work(Flapping(seed)) for seed in range(4)], *[read] * 4)


def test_burst_on_a_revived_model_makes_exactly_one_probe() -> None:
    router = CapabilityRouter(clock=RacingClock(), seed=1)
    router.register(model("a/x"))
    router.deactivate("a/x", "rate_limited")
    started: list[str] = []
    router.emitter.subscribe(lambda event: started.append(event.model), EventType.PROBE_STARTED)
    while router.clock.now() < 5:
        pass

    def ask() -> int:
        try:
            router.plan("chat-completion").next()
        except CapabilityRouterError:
            return 0
        return 1

    together(*[ask] * 200)
    assert started == ["a/x"]
    assert router.state("a/x").in_flight == 1
