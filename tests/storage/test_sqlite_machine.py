"""Two stores on one file under a random hand, against a model that has no file."""

import tempfile
from math import inf
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from capability_router.storage.sqlite_store import SqliteStore
from capability_router.storage.store import Claim, Draw, Exchange, News, Write
from capability_router.testing import ManualClock
from tests.storage.sqlite_model import NEWS_S, Model

PROCESSES = ("a", "b")
START = 1_767_225_600.0
WINDOW_S = 100

processes = st.sampled_from(PROCESSES)
writes = st.fixed_dictionaries(
    {
        "key": st.sampled_from(["j", "k"]),
        "value": st.sampled_from([None, '{"x":1}', '{"x":2}']),
        "weight": st.sampled_from([0.0, 1.0, 2.0, inf]),
        "lasts_s": st.sampled_from([inf, inf, 5.0, 100.0]),
        "knows": st.booleans(),
        "quiet": st.sampled_from([False, False, True]),
    }
)
draws = st.fixed_dictionaries(
    {
        "meter": st.sampled_from(["rolling", "calendar", "ever"]),
        "capacity": st.sampled_from([6, 10]),
        "used": st.lists(st.tuples(st.integers(-62, 0), st.integers(-3, 6)), max_size=2),
        "want": st.integers(0, 8),
    }
)
claims = st.builds(Claim, st.sampled_from(["c", "d"]), st.booleans())
moments = st.sampled_from([0.0, 0.1, 1.0, 4.0, 11.0, 29.0, 31.0, 70.0, 1000.0, 4000.0])


class Stores(RuleBasedStateMachine):
    """Two processes and what each of them knows."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock(wall=START)
        path = Path(self.folder.name) / "state.db"
        self.stores = {
            name: SqliteStore(path, wall=self.clock.wall, wait=self.clock.sleep)
            for name in PROCESSES
        }
        self.model = Model()
        self.versions: dict[tuple[str, str], int] = {}
        self.held: dict[tuple[str, str, int], int] = {}
        self.known: dict[str, int] = {}

    def teardown(self) -> None:
        for store in self.stores.values():
            store.close()
        self.folder.cleanup()

    @rule(seconds=moments)
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(
        process=processes,
        writes=st.lists(writes, max_size=2, unique_by=lambda write: write["key"]),
        draws=st.lists(draws, max_size=2, unique_by=lambda draw: draw["meter"]),
        claims=st.lists(claims, max_size=2, unique_by=lambda claim: claim.key),
        releases=st.lists(st.sampled_from(["c", "d"]), max_size=1),
        snapshot=st.booleans(),
    )
    def exchange(
        self,
        process: str,
        writes: list[dict[str, Any]],
        draws: list[dict[str, Any]],
        claims: list[Claim],
        releases: list[str],
        snapshot: bool,
    ) -> None:
        exchange = Exchange(
            process,
            [self.written(process, **write) for write in writes],
            [self.drawn(process, **draw) for draw in draws],
            claims,
            releases,
            snapshot,
        )
        answer = self.stores[process].exchange(exchange)
        told = self.model.exchange(exchange, self.clock.wall())
        assert answer.now == self.clock.wall()
        assert (answer.sequence, answer.written) == (told.sequence, told.written)
        assert answer.shares == told.shares
        assert answer.claimed == told.claimed
        assert answer.entries == (told.entries if snapshot else None)
        assert answer.corrupt == ()
        for entry in answer.written:
            self.versions[process, entry.key] = entry.version
        for draw, share in zip(exchange.draws, answer.shares, strict=True):
            self.held[process, draw.meter, draw.window] = share.held

    @rule(process=processes)
    def listen(self, process: str) -> None:
        heard = self.stores[process].listen(0)
        if process not in self.known:
            assert heard == []
        else:
            self.heard_all(self.known[process], list(heard))
        self.known[process] = self.model.sequence

    @precondition(lambda self: len(self.known) == len(PROCESSES))
    @rule(process=processes)
    def begin_again(self, process: str) -> None:
        """Let a process end, and another one take its place."""
        self.stores[process].close()
        path = Path(self.folder.name) / "state.db"
        self.stores[process] = SqliteStore(path, wall=self.clock.wall, wait=self.clock.sleep)
        assert self.stores[process].listen(0) == []
        self.known[process] = self.model.sequence

    def written(
        self, process: str, *, key: str, lasts_s: float, knows: bool, **given: Any
    ) -> Write:
        base = self.versions.get((process, key), 0) if knows else 0
        return Write(key, expires_at=self.clock.wall() + lasts_s, base=base, **given)

    def drawn(
        self,
        process: str,
        *,
        meter: str,
        capacity: int,
        used: list[tuple[int, int]],
        want: int,
    ) -> Draw:
        now = int(self.clock.wall())
        window = now - now % WINDOW_S + WINDOW_S if meter == "calendar" else 0
        width_s = 1.0 if meter == "rolling" else None
        told: dict[int, int] = {}
        for age, amount in used:
            bucket = now + age if width_s else window
            told[bucket] = told.get(bucket, 0) + amount
        grant = self.held.get((process, meter, window), 0)
        return Draw(meter, capacity, width_s, window, told, grant, want)

    def heard_all(self, known: int, heard: list[News]) -> None:
        """Check that who knew something hears all since, or that he has missed something."""
        due = self.model.since(known)
        while heard[:1] != due[:1]:
            # Only what is too old to be kept may be missing.
            assert self.model.told_at[due.pop(0).after] + NEWS_S <= self.clock.wall()
            if not due:
                due = [News(self.model.sequence, self.model.sequence)]
                break
        assert heard == due


Stores.TestCase.settings = settings(max_examples=150, stateful_step_count=30)
TestStores = pytest.mark.timeout(300)(Stores.TestCase)
