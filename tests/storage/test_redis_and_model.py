"""The store on a server does what the plain model does, exchange by exchange, as time goes by.

The server's clock cannot be moved. Every answer tells its moment, and the model is asked the same
at that moment; durations are so short that they pass between two exchanges, or do not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import floor, inf
from uuid import uuid4

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from capability_router.storage.redis_store import RedisStore
from capability_router.storage.store import Answer, Claim, Draw, Exchange, Write
from tests.storage.model import ModelStore, Shared

Open = Callable[..., RedisStore]

PROCESSES: tuple[str, ...] = ("a", "b", "c")
KEYS = st.sampled_from(["x", "y", "z"])
SPANS_S = st.sampled_from([0.0003, 0.002, 30.0])
SIZES = settings(
    max_examples=40,
    stateful_step_count=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

WRITES = st.builds(
    Write,
    KEYS,
    st.none() | st.sampled_from(["1", '"two"', '{"three": []}']),
    st.sampled_from([-1.0, 0.0, 0.1, inf]),
    st.just(inf) | SPANS_S,
    st.sampled_from([0, 1, 2]),
    st.booleans(),
)
DRAWS = st.builds(
    Draw,
    st.sampled_from(["m", "n"]),
    st.sampled_from([0, 5, 100, 2**52]),
    st.sampled_from([None, None, 0.00005, 1.0]),
    st.sampled_from([0, -10, 1, 1000]),
    st.dictionaries(st.sampled_from([-61, -60, -3, -1, 0, 2]), st.integers(-20, 40), max_size=3),
    st.integers(0, 30),
    st.sampled_from([0, 1, 30, 60, 2**52]),
)


class Agreement(RuleBasedStateMachine):
    """Three processes at a store, and at its model."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        namespace = uuid4().hex
        self.stores = {
            p: RedisStore(self.url, namespace=namespace, timeout_s=30) for p in PROCESSES
        }
        self.now = self.stores["a"].exchange(Exchange("a")).now
        shared = Shared(lambda: self.now)
        self.models = {process: ModelStore(shared) for process in PROCESSES}
        self.versions: dict[str, int] = {}

    @rule(
        process=st.sampled_from(PROCESSES),
        writes=st.lists(WRITES, max_size=3),
        draws=st.lists(DRAWS, max_size=3),
        claims=st.lists(st.builds(Claim, KEYS, st.booleans()), max_size=2),
        releases=st.lists(KEYS, max_size=1),
        snapshot=st.booleans(),
        hold_s=SPANS_S,
        claim_s=SPANS_S,
    )
    def exchange(
        self,
        process: str,
        writes: list[Write],
        draws: list[Draw],
        claims: list[Claim],
        releases: list[str],
        snapshot: bool,
        hold_s: float,
        claim_s: float,
    ) -> None:
        asked = Exchange(
            process,
            [self.aimed(write) for write in writes],
            [self.placed(draw) for draw in draws],
            claims,
            releases,
            snapshot,
            hold_s,
            claim_s,
        )
        answer = self.stores[process].exchange(asked)
        self.now = answer.now
        expected = self.models[process].exchange(asked)
        assert plain(answer) == plain(expected)
        self.versions |= {entry.key: entry.version for entry in answer.written}

    @rule(process=st.sampled_from(PROCESSES))
    def listen(self, process: str) -> None:
        expected = list(self.models[process].listen(0))
        heard = list(self.stores[process].listen(0))
        while len(heard) < len(expected):
            heard += self.stores[process].listen(30)
        assert heard == expected

    def aimed(self, write: Write) -> Write:
        """Give a write the version it knows: none, the last one, or one that never was."""
        base = {0: 0, 1: self.versions.get(write.key, 0), 2: 10**6}[write.base]
        soon = write.expires_at if write.expires_at == inf else self.now + write.expires_at
        return replace(write, base=base, expires_at=soon)

    def placed(self, draw: Draw) -> Draw:
        """Place a draw in time, which it says in relation to now."""
        if draw.width_s is None:
            window = int(self.now) + draw.window if draw.window else 0
            used = {window: sum(draw.used.values())} if draw.used else {}
            return replace(draw, window=window, used=used)
        newest = floor(self.now / draw.width_s)
        used = {newest + offset: amount for offset, amount in draw.used.items()}
        return replace(draw, window=0, used=used)

    def teardown(self) -> None:
        for store in self.stores.values():
            store.close()


def plain(answer: Answer) -> Answer:
    entries = answer.entries
    if entries is not None:
        entries = tuple(sorted(entries, key=lambda entry: entry.key))
    return replace(answer, store="", entries=entries)


def test_store_and_model_answer_alike(valkey_url: str) -> None:
    Agreement.url = valkey_url
    run_state_machine_as_test(Agreement, settings=SIZES)


class Honest(RuleBasedStateMachine):
    """Processes that use only what they hold, are late, and are cut off, at one strict limit."""

    CAPACITY = 50
    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.store = RedisStore(self.url, namespace=uuid4().hex, timeout_s=30)
        self.held = dict.fromkeys(PROCESSES, 0)
        self.granted = dict.fromkeys(PROCESSES, 0)
        self.unreported = dict.fromkeys(PROCESSES, 0)
        self.used = 0

    @rule(process=st.sampled_from(PROCESSES), amount=st.integers(1, 40))
    def use(self, process: str, amount: int) -> None:
        taken = min(amount, self.held[process])
        self.held[process] -= taken
        self.unreported[process] += taken
        self.used += taken
        assert self.used <= self.CAPACITY

    @rule(process=st.sampled_from(PROCESSES), want=st.integers(0, 40), hold_s=SPANS_S)
    def report(self, process: str, want: int, hold_s: float) -> None:
        used = {0: self.unreported[process]}
        draw = Draw("m", self.CAPACITY, None, 0, used, self.granted[process], want)
        answer = self.store.exchange(Exchange(process, draws=[draw], hold_s=hold_s))
        (share,) = answer.shares
        assert share.used + share.reserved + share.held <= self.CAPACITY
        self.unreported[process] = 0
        self.held[process] = self.granted[process] = share.held

    def teardown(self) -> None:
        self.store.close()


def test_those_who_use_what_they_hold_never_use_more_than_there_is(valkey_url: str) -> None:
    Honest.url = valkey_url
    run_state_machine_as_test(Honest, settings=SIZES)
