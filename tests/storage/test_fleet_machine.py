"""Whatever processes do, and whoever is cut off or dies: what must hold of all of them together."""

from collections import deque

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from capability_router.engine.lease import Lease
from capability_router.engine.limits import Limit, Unit
from capability_router.engine.model import Model
from capability_router.engine.outcome import FailureKind
from capability_router.storage.store import StoreFault
from tests.storage.fleet import Fleet, Process

CHAT = ("chat-completion",)
EVER, ROLLING, WINDOW_S = 120, 12, 60.0
LIMITED = Model(
    "alpha/limited",
    CHAT,
    limits=(
        Limit(Unit.REQUESTS, EVER, strict=True),
        Limit(Unit.REQUESTS, ROLLING, window_s=WINDOW_S, strict=True),
    ),
)
FREE = [Model("beta/free", CHAT), Model("gamma/free", CHAT)]
NAMES = [model.id for model in (LIMITED, *FREE)]
MOST = 4

numbers = st.integers(min_value=0, max_value=MOST - 1)


class FleetMachine(RuleBasedStateMachine):
    """A fleet under a random hand, against what an onlooker counts."""

    @initialize(processes=st.integers(min_value=2, max_value=MOST))
    def start(self, processes: int) -> None:
        self.fleet = Fleet(processes, models=[LIMITED, *FREE])
        self.admitted: deque[float] = deque()
        self.in_all = 0
        self.open: list[tuple[Process, Lease]] = []
        self.trials: list[tuple[Process, Lease, float]] = []

    def process(self, number: int) -> Process:
        return self.fleet.processes[number % len(self.fleet.processes)]

    @rule(number=numbers)
    def ask(self, number: int) -> None:
        self.ask_of(self.process(number))

    def ask_of(self, process: Process) -> None:
        lease = process.lease()
        if lease is None:
            return
        self.open.append((process, lease))
        if lease.model.id == LIMITED.id:
            self.in_all += 1
            self.admitted.append(self.fleet.shelf.clock())
        if lease.probe and not lease.panic and process.router.replica.permits.needed:
            self.check_trial(process, lease)
            trial = lease.pool.name, lease.model.id
            until = process.router.replica.permits.granted[trial]
            self.trials.append((process, lease, until))

    def check_trial(self, process: Process, lease: Lease) -> None:
        """No other process may be at the same trial, while its claim holds."""
        for other, its, until in self.trials:
            same = its.model == lease.model and its.end is None and other is not process
            # Whoever was recovered meanwhile is on trial no more, though its answer is to come.
            same = same and its.member.standby is its.trial
            permits = other.router.replica.permits
            now_until = permits.granted.get((its.pool.name, its.model.id), until)
            valid = self.fleet.clock.now() < max(until, now_until)
            assert not (same and valid), "two processes try a model at once"

    @precondition(lambda self: self.open)
    @rule(
        number=st.integers(min_value=0),
        kind=st.sampled_from(
            [None, None, FailureKind.RATE_LIMITED, FailureKind.SERVER_ERROR, FailureKind.AUTH]
        ),
        retry_after_s=st.sampled_from([None, 3.0, 30.0]),
    )
    def report(self, number: int, kind: FailureKind | None, retry_after_s: float | None) -> None:
        process, lease = self.open.pop(number % len(self.open))
        if process in self.fleet.processes:
            process.report(lease, kind, retry_after_s)

    @rule(number=numbers, name=st.sampled_from(NAMES))
    def deactivate(self, number: int, name: str) -> None:
        self.process(number).router.deactivate(name)

    @rule(number=numbers, name=st.sampled_from(NAMES))
    def recover(self, number: int, name: str) -> None:
        self.process(number).router.recover(name)

    @rule(number=numbers, drained=st.booleans())
    def drain(self, number: int, drained: bool) -> None:
        router = self.process(number).router
        if drained:
            router.drain("beta", for_s=20.0)
        else:
            router.recover("beta")

    @rule(number=numbers)
    def cut(self, number: int) -> None:
        self.fleet.cut(self.process(number), StoreFault.UNREACHABLE)

    @rule(number=numbers)
    def heal(self, number: int) -> None:
        self.fleet.cut(self.process(number), None)

    @precondition(lambda self: len(self.fleet.processes) > 1)
    @rule(number=numbers)
    def kill(self, number: int) -> None:
        self.fleet.kill(self.process(number))

    @precondition(lambda self: len(self.fleet.processes) < MOST)
    @rule()
    def join(self) -> None:
        self.fleet.join()

    @rule()
    def settle(self) -> None:
        self.fleet.settle()

    @rule(number=numbers)
    def turn_one(self, number: int) -> None:
        process = self.process(number)
        process.keeper.turn(process.router)

    @rule(number=numbers, times=st.integers(min_value=1, max_value=6))
    def ask_while_an_answer_is_on_its_way(self, number: int, times: int) -> None:
        process = self.process(number)

        def ask() -> None:
            for _ in range(times):
                self.ask_of(process)

        process.client.meanwhile = ask
        process.keeper.turn(process.router)
        process.client.meanwhile = None

    @rule(number=numbers, times=st.integers(min_value=2, max_value=20))
    def ask_often(self, number: int, times: int) -> None:
        for _ in range(times):
            self.ask_of(self.process(number))

    @rule()
    def try_somebody_again(self) -> None:
        """Reach, in one step, what many steps seldom come to: a trial that all would make."""
        first = self.fleet.processes[0]
        first.router.deactivate("beta/free", "rate_limited")
        self.fleet.settle()
        self.fleet.pass_time(13.0)
        for _ in range(2):
            for process in self.fleet.processes:
                self.ask_of(process)
            self.fleet.settle()

    @rule(number=numbers)
    def lose_news(self, number: int) -> None:
        self.process(number).client.lose_news()

    @rule(seconds=st.sampled_from([0.3, 2.5, 11.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.fleet.pass_time(seconds, 1.0)

    @invariant()
    def strict_limits_hold(self) -> None:
        assert self.in_all <= EVER
        now = self.fleet.shelf.clock()
        while self.admitted and self.admitted[0] <= now - WINDOW_S:
            self.admitted.popleft()
        assert len(self.admitted) <= ROLLING

    def teardown(self) -> None:
        """Once all are heard of again and nothing more happens, all know the same."""
        for process in self.fleet.processes:
            self.fleet.cut(process, None)
        self.fleet.pass_time(70.0, 1.0)
        held = [self.held(process) for process in self.fleet.processes]
        assert all(each == held[0] for each in held), held

    def held(self, process: Process) -> set[tuple[str, str, str]]:
        process.router.pool("chat-completion").get_state()
        return {(h.pool, h.model, str(h.order.reason)) for h in process.router.replica.orders()}


TestFleet = FleetMachine.TestCase
TestFleet.settings = settings(
    max_examples=120,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
