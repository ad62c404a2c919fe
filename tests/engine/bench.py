"""A router under a random hand: what may be done to it, and what must hold after each step.

Everything is named by numbers and plain words, so that the same steps can be taken on a twin.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from math import inf

from capability_router.engine.call import Call
from capability_router.engine.default_tree import TreeMapping
from capability_router.engine.errors import (
    AllModelsFailedError,
    LeaseEndedError,
    NoAvailableModelError,
)
from capability_router.engine.faults import FAULT_TABLE, Health
from capability_router.engine.lease import Lease, LeaseEnd
from capability_router.engine.limits import Limit
from capability_router.engine.membership import PoolPreferences
from capability_router.engine.model import Model, Provider
from capability_router.engine.outcome import Failure, FailureKind, Outcome
from capability_router.engine.pool import CapabilityPool
from capability_router.engine.request import CompletionRequest
from capability_router.engine.retry import RepeatScope
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.steps import Stop, Try, Wait
from capability_router.engine.tree import CapabilityTree
from capability_router.testing.clock import ManualClock
from tests.engine.building import Rig, ids
from tests.engine.mirrors import Mirror, Overall, Quota, preferred_to, ready

SMALL_TREE: TreeMapping = {"gen": {"text": ["chat", "code"], "image": ["draw"]}, "rank": ["rerank"]}
SPACES = ("even", "odd")

START = ManualClock().wall()


def under(path: str, node: str) -> bool:
    return path == node or path.startswith(f"{node}.")


@dataclass
class Running:
    """A call in progress."""

    call: Call
    deadline: float


class Bench:
    """One router, the leases and calls that are open on it, and a log of all that it said."""

    def __init__(
        self,
        policy: RotationPolicy,
        model_limits: tuple[Limit, ...] = (),
        provider_limits: tuple[Limit, ...] = (),
    ) -> None:
        self.rig = Rig(
            policy=policy,
            providers=[Provider(each, limits=provider_limits) for each in "ab"],
            tree=CapabilityTree.from_mapping(SMALL_TREE),
            seed=5,
        )
        self.router = self.rig.router
        self.policy, self.retry = policy, policy.retry
        self.model_limits, self.provider_limits = model_limits, provider_limits
        self.quotas: dict[tuple[str, Limit], Quota] = {}
        self.mirrors: dict[str, Mirror] = defaultdict(Mirror)
        self.overall = Overall()
        self.pools: dict[str, CapabilityPool] = {}
        self.excluded: dict[str, list[str]] = {}
        self.leases: list[Lease] = []
        self.calls: list[Running] = []
        self.log: list[str] = []
        self._replayed = self._nodes = 0

    # What may be done.

    def register(self, number: int, place: int, second: int) -> None:
        model_id = f"{'abcd'[number % 4]}/{number}"
        if model_id in ids(self.router.models):
            return
        leaves = [node.path for node in self.router.tree if node.is_leaf]
        capabilities = (leaves[place % len(leaves)], leaves[second % len(leaves)])
        # The id comes again with a fresh account: a model that was dropped is forgotten.
        self.quotas = {key: q for key, q in self.quotas.items() if key[0] != f"model {model_id}"}
        self.router.register(
            Model(
                model_id,
                capabilities,
                limits=self.model_limits,
                deprecated_at=START + 9000.0 if number == 7 else None,
                vector_space=SPACES[number % 2],
            )
        )

    def unregister(self, number: int) -> None:
        self.router.unregister(self._model(number))

    def add_pool(self, place: int, excluded: str) -> None:
        name = f"pool-{len(self.router.pools)}"
        self.excluded[name] = list(excluded)
        preferences = PoolPreferences(excluded_providers=self.excluded[name])
        self.pools[name] = self.router.add_pool(name, self._node(place), None, preferences)

    def update_pool(self, number: int, excluded: str) -> None:
        declared = self.router.pools
        if declared:
            name = declared[number % len(declared)].name
            self.excluded[name] = list(excluded)
            preferences = PoolPreferences(excluded_providers=self.excluded[name])
            self.router.update_pool(name, preferences=preferences)

    def set_wall(self, seconds: float) -> None:
        """Set the wall clock, forward or back."""
        self._note_day()
        self.rig.clock.set_wall(self.rig.clock.wall() + seconds)
        self._note_day()

    def add_node(self, place: int) -> None:
        self._nodes += 1
        self.router.tree.add_node(self._node(place), f"n{self._nodes}")

    def advance(self, seconds: float) -> None:
        self.rig.clock.advance(seconds)

    def deactivate(self, number: int, reason: str) -> None:
        self.router.deactivate(self._model(number), reason)

    def recover(self, number: int) -> None:
        self.router.recover(self._model(number))

    def select(self, place: int, prefers: str, space: str | None) -> None:
        request = self._request(place, prefers, space)
        able = self._able(request, set())
        try:
            lease = self.router.select(request)
        except NoAvailableModelError as nobody:
            self.log.append(str(nobody))
            self._replay()
            assert self._eligible(request, set()) == set()
        else:
            self._open(lease, able)

    @property
    def has_free_leases(self) -> bool:
        """True if there is a lease that no running call owns."""
        return len(self.leases) > sum(r.call.lease is not None for r in self.calls)

    def end(self, number: int, kind: FailureKind | None, stated_s: float | None) -> None:
        """Report a lease: an answer, or a failure."""
        lease = self._lease(number)
        before, ended = self._health(), lease.end
        failure = Failure(kind, retry_after_s=stated_s) if kind else None
        try:
            self.router.report(lease, Outcome(failure))
        except LeaseEndedError:
            assert ended in {LeaseEnd.REPORTED, LeaseEnd.RELEASED}
            return
        assert ended in {None, LeaseEnd.EXPIRED}
        if ended or (kind and FAULT_TABLE[kind].health is Health.UNTOUCHED):
            assert self._health() == before

    def release(self, number: int) -> None:
        lease = self._lease(number)
        before, ended = self._health(), lease.end
        try:
            self.router.release(lease)
        except LeaseEndedError:
            assert ended in {LeaseEnd.REPORTED, LeaseEnd.RELEASED}
            return
        assert ended in {None, LeaseEnd.EXPIRED}
        if lease.reserved:
            # What is given back may bring models back; it sends nobody away.
            standby = {name: away for name, _, away in self._standings()}
            assert all(standby[name] <= away for name, _, away in before[0])
        else:
            assert self._health() == before

    def start(
        self, place: int, prefers: str, space: str | None, deadline_s: float | None = None
    ) -> None:
        """Begin a call that other steps may come between."""
        request = replace(self._request(place, prefers, space), deadline_s=deadline_s)
        seconds = self.retry.deadline_s if deadline_s is None else deadline_s
        deadline = self.rig.clock.now() + (inf if seconds is None else seconds)
        self.calls.append(Running(self.router.plan(request), deadline))

    def proceed(self, number: int, kind: FailureKind | None, took_s: float) -> None:
        """Take one step of a call: end its attempt, or ask for the next."""
        running = self.calls[number % len(self.calls)]
        if running.call.lease is None:
            self._ask(running)
            return
        self.rig.clock.advance(took_s)
        if kind is None:
            running.call.succeeded()
            self.calls.remove(running)
        elif kind is FailureKind.CANCELLED:
            running.call.cancelled()
            self.calls.remove(running)
        else:
            running.call.failed(Failure(kind))

    def run(
        self, place: int, prefers: str, space: str | None, script: list[FailureKind | None]
    ) -> None:
        """Run a whole call; where the script ends, models answer."""
        self.start(place, prefers, space)
        running = self.calls[-1]
        outcomes = iter(script)
        while running in self.calls:
            self.proceed(len(self.calls) - 1, next(outcomes, None), 0.25)

    def finish(self) -> None:
        """End everything that is open; nothing may be in flight then."""
        states = {id(lease.state): lease.state for lease in self.leases}
        for running in self.calls:
            running.call.cancelled()
        for lease in self.leases:
            if lease.end is None:
                self.router.release(lease)
        assert all(state.in_flight == 0 for state in states.values())

    # What must hold.

    def check(self) -> None:
        # Also those of related nodes, which were made by asking for them.
        everywhere = self.router._topology.every_pool()
        self.pools |= {pool.name: pool for pool in everywhere}
        for pool in self.pools.values():
            pool.get_state()
        self._replay()
        open_leases = [lease for lease in self.leases if lease.end is None]
        self._check_pools(open_leases)
        self.overall.check(self.router, self.mirrors.values())
        in_flight = Counter(id(lease.state) for lease in open_leases)
        for lease in self.leases:
            assert lease.state.in_flight == in_flight[id(lease.state)]
        trials = Counter(id(lease.trial) for lease in open_leases if lease.probe)
        assert set(trials.values()) <= {1}
        for quota in self.quotas.values():
            quota.check(self.rig.clock.now())

    def _check_pools(self, open_leases: list[Lease]) -> None:
        probing = {(lease.pool.name, lease.model.id) for lease in open_leases if lease.probe}
        assert set(self.mirrors) <= set(self.pools)
        for name, pool in self.pools.items():
            mirror = self.mirrors[name]
            assert set(ids(pool.get_active_models())) == mirror.active
            assert set(ids(pool.get_standby_models())) == mirror.standby.keys()
            assert pool.get_state().rotation_events == mirror.rotations
            ejected = sum(it.ejected for it in mirror.standby.values())
            members = len(mirror.active) + len(mirror.standby)
            assert ejected <= max(1, int(self.policy.max_ejected * members))
            assert mirror.active | mirror.standby.keys() == self._expected_members(pool)
            on_trial = {(name, each) for each, it in mirror.standby.items() if it.on_trial}
            assert on_trial <= probing

    def _expected_members(self, pool: CapabilityPool) -> set[str]:
        return {
            model.id
            for model in self.router.models
            if any(under(path, pool.hierarchy_node) for path in model.capabilities)
            and model.provider not in self.excluded.get(pool.name, [])
        }

    def _eligible(self, request: CompletionRequest, tried: set[str]) -> set[str]:
        """Return who could serve a request now, by what the events have told."""
        node, now = request.capability, self.rig.clock.now()
        serving = self._serving(node)
        serving = [each for each in serving if (self.mirrors[each].closed_until or now) <= now]
        standby = [item for name in serving for item in self.mirrors[name].standby.items()]
        due = {each for each, it in standby if it.until <= now and not it.on_trial}
        able = due.union(*(self.mirrors[name].active for name in serving))
        here = {
            model.id
            for model in self.router.models
            if any(under(path, node) for path in model.capabilities)
            and request.vector_space in (None, model.vector_space)
        }
        return (able & here) - tried

    def _able(self, request: CompletionRequest, tried: set[str]) -> dict[str, set[str]]:
        """Let the pools of a request do what the clock demands; return which models are ready."""
        now, serving = self.rig.clock.now(), self._serving(request.capability)
        for name in serving:
            self.pools[name].get_state()
        self._replay()
        return {name: ready(self.pools[name], request, tried, now) for name in serving}

    def _serving(self, node: str) -> list[str]:
        declared = [pool.name for pool in self.router.pools if under(node, pool.hierarchy_node)]
        return declared or [node]

    def _ask(self, running: Running) -> None:
        call, now = running.call, self.rig.clock.now()
        tried = {attempt.model for attempt in call.attempts}
        request, able = call.request, self._able(call.request, tried)
        eligible = self._eligible(request, tried)
        step = call.next()
        self._replay()
        # Who was found to have nothing left of a limit was not eligible after all.
        eligible &= self._eligible(request, tried)
        match step:
            case Try():
                assert now < running.deadline
                assert 0 < step.timeout_s <= running.deadline - now
                assert len(call.attempts) < self.retry.max_attempts
                first = self.retry.scope is RepeatScope.FIRST
                repeated = first and bool(tried) and step.model.id == call.attempts[-1].model
                assert step.model.id not in tried or not eligible or repeated
                self._open(step.lease, {} if repeated else able)
            case Wait():
                first = self.retry.scope is RepeatScope.FIRST
                assert not eligible or first, self._told(request, eligible)
                self.rig.clock.advance(step.seconds)
                self.log.append(f"wait {step.seconds}")
            case Stop():
                self.calls.remove(running)
                self.log.append(f"{type(step.error).__name__}: {step.error}")
                nobody_left = (
                    step.error.why == "no other model is left"
                    if isinstance(step.error, AllModelsFailedError)
                    else isinstance(step.error, NoAvailableModelError)
                )
                assert not (nobody_left and eligible), self._told(request, eligible)

    # Small matters.

    def _told(self, request: CompletionRequest, models: set[str]) -> str:
        """What the pools of a node say of models that should have served."""
        node = request.capability
        reasons = {name: self.pools[name].reasons(request, node) for name in self._serving(node)}
        standby = {name: self.pools[name].get_standby() for name in reasons}
        forecasts = {name: list(map(str, self.pools[name].forecast())) for name in reasons}
        return f"{models} at {self.rig.clock.now()}: {reasons}, {standby}, {forecasts}"

    def _note_day(self) -> None:
        for quota in self.quotas.values():
            quota.observe(self.rig.clock.wall())
        # A meter learns of a day when it is looked at: what is observed here is seen there as well.
        for pool in self.router._topology.every_pool():
            pool.forecast()

    def _open(self, lease: Lease, able: dict[str, set[str]]) -> None:
        better = preferred_to(lease, able.get(lease.pool.name, set()))
        assert not better, f"{better} before {lease} for {lease.request}"
        assert lease.request.vector_space in (None, lease.model.vector_space)
        self.leases.append(lease)
        now, wall = self.rig.clock.now(), self.rig.clock.wall()
        provider = lease.model.provider
        limits = [(f"model {lease.model.id}", limit) for limit in self.model_limits]
        if provider in ("a", "b"):
            limits += [(f"provider {provider}", limit) for limit in self.provider_limits]
        limits += [(f"pool {lease.pool.name}", limit) for limit in self.policy.limits]
        for name, limit in dict.fromkeys(limits):
            self.quotas.setdefault((name, limit), Quota(limit)).admit(lease, now, wall)
        self.log.append(f"{lease.pool.name} {lease.model.id} {lease.probe} {lease.panic}")

    def _request(self, place: int, prefers: str, space: str | None) -> CompletionRequest:
        """Make a request, and remember the pool of its node, which may be made by asking for it."""
        node = self._node(place)
        pool = self.router.pool(node)
        self.pools[pool.name] = pool
        return CompletionRequest(node, prefers=tuple(prefers), vector_space=space)

    def _replay(self) -> None:
        for event in self.rig.events[self._replayed :]:
            self.mirrors[event.pool].take(event)
        self._replayed = len(self.rig.events)
        self.overall.replay(self.rig.overall)

    def _health(self) -> tuple[list[tuple[str, set[str], set[str]]], list[int]]:
        self._replay()
        failing = [self.router.state(m.id).consecutive_failures for m in self.router.models]
        return self._standings(), failing

    def _standings(self) -> list[tuple[str, set[str], set[str]]]:
        self._replay()
        return [(name, set(m.active), set(m.standby)) for name, m in self.mirrors.items()]

    def _model(self, number: int) -> str:
        known = ids(self.router.models)
        return known[number % len(known)]

    def _lease(self, number: int) -> Lease:
        """Return a lease that no running call owns: mostly an open one, and mostly a young one."""
        owned = [running.call.lease for running in self.calls]
        free = [lease for lease in reversed(self.leases) if lease not in owned]
        still_open = [lease for lease in free if lease.end is None]
        among = still_open if still_open and number % 4 else free
        return among[number % len(among)]

    def _node(self, place: int) -> str:
        nodes = [node.path for node in self.router.tree]
        return nodes[place % len(nodes)]
