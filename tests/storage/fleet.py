"""Several routers that share a store in memory and a clock, taken step by step."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event

from capability_router.engine.errors import NoAvailableModelError
from capability_router.engine.events import RoutingEvent
from capability_router.engine.lease import Lease
from capability_router.engine.model import Model, Provider
from capability_router.engine.outcome import Failure, FailureKind, Outcome
from capability_router.engine.request import CompletionRequest
from capability_router.engine.rotation import RotationPolicy
from capability_router.router import CapabilityRouter
from capability_router.storage.keeper import Keeper
from capability_router.storage.store import StoreError, StoreFault
from capability_router.testing import ManualClock
from tests.storage.model import Shared
from tests.storage.shelf import Client

REQUEST = CompletionRequest("chat-completion")
MOST_ROUNDS = 20


@dataclass
class Process:
    """One router with its keeper."""

    router: CapabilityRouter
    keeper: Keeper
    client: Client
    events: list[RoutingEvent] = field(default_factory=list[RoutingEvent])
    bell: Event = field(default_factory=Event)

    def active(self, pool: str = "chat-completion") -> list[str]:
        return [model.id for model in self.router.pool(pool).get_active_models()]

    def reasons(self, pool: str = "chat-completion") -> dict[str, str]:
        return {s.model: s.reason for s in self.router.pool(pool).get_standby()}

    def ask(self, kind: FailureKind | None = None, retry_after_s: float | None = None) -> str:
        """Make one attempt; return who was asked, or nothing if nobody could be."""
        lease = self.lease()
        if lease is None:
            return ""
        self.report(lease, kind, retry_after_s)
        return lease.model.id

    def lease(self) -> Lease | None:
        with suppress(NoAvailableModelError):
            return self.router.select(REQUEST)
        return None

    def report(
        self, lease: Lease, kind: FailureKind | None = None, retry_after_s: float | None = None
    ) -> None:
        if kind is None:
            self.router.report(lease, Outcome())
        else:
            failure = Failure(kind, retry_after_s=retry_after_s)
            self.router.report(lease, Outcome(failure=failure))

    def told(self) -> list[str]:
        return [str(event.type) for event in self.events]


class Fleet:
    """Processes that share a shelf."""

    def __init__(
        self,
        processes: int = 2,
        *,
        models: Sequence[Model] = (),
        providers: Sequence[Provider] = (),
        policy: RotationPolicy | None = None,
        fingerprints: Sequence[str] = ("",),
    ) -> None:
        self.clock = ManualClock(now=1_000.0)
        # Its clock is seven seconds ahead of that of the processes' host.
        self.shelf = Shared(lambda: self.clock.wall() + 7.0)
        self.models, self.providers, self.policy = models, providers, policy
        self.processes: list[Process] = []
        for number in range(processes):
            self.join(fingerprints[number % len(fingerprints)])
        self.settle()

    def join(self, fingerprint: str = "") -> Process:
        router = CapabilityRouter(
            providers=self.providers,
            policy=self.policy,
            clock=self.clock,
            seed=len(self.processes),
        )
        for model in self.models:
            router.register(model)
        client = Client(self.shelf)
        bell = Event()
        keeper = Keeper(client, self.clock, bell.set, fingerprint)
        process = Process(router, keeper, client, bell=bell)
        router.emitter.subscribe(process.events.append)
        keeper.attach(router)
        self.processes.append(process)
        return process

    def kill(self, process: Process) -> None:
        self.processes.remove(process)

    def cut(self, process: Process, fault: StoreFault | None = StoreFault.UNREACHABLE) -> None:
        process.client.cut = fault

    def settle(self) -> None:
        """Let all tell and hear until nobody has anything to say."""
        for _ in range(MOST_ROUNDS):
            for process in self.processes:
                process.bell.clear()
                process.keeper.turn(process.router)
                self._hear(process)
            if not any(
                process.bell.is_set() or process.client.waiting for process in self.processes
            ):
                return
        raise AssertionError("the fleet does not come to rest")

    def _hear(self, process: Process) -> None:
        try:
            news = process.client.listen(0)
        except StoreError:
            process.keeper.be_deaf()
            return
        if news:
            process.keeper.hear(process.router, news)

    def pass_time(self, seconds: float, step_s: float = 1.0) -> None:
        """Let time pass, as the threads would see it."""
        end = self.clock.now() + seconds
        while self.clock.now() < end:
            self.clock.advance(min(step_s, end - self.clock.now()))
            self.settle()
