"""Keeps a router and a store equal: what to tell it when, and what to make of its answers.

Waits for nothing but the store itself; the threads that call it are in ``attendants``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from math import inf
from secrets import token_hex

from capability_router.engine.events import EventType, RoutingEvent
from capability_router.engine.meter import Meter
from capability_router.engine.replica import Replica
from capability_router.engine.router import Router
from capability_router.engine.timing import Clock
from capability_router.storage import facts
from capability_router.storage.drawing import Drawing
from capability_router.storage.estimates import Estimates
from capability_router.storage.replication import Replication
from capability_router.storage.store import (
    Answer,
    Entry,
    Exchange,
    News,
    StateStore,
    StoreError,
    StoreFault,
    Write,
)
from capability_router.storage.store_clock import StoreClock
from capability_router.storage.trials import Trials
from capability_router.storage.versions import Versions

__all__ = ["Keeper"]

_BEAT_S = 2.0
_SNAPSHOT_S = 60.0
_ESTIMATES_S = 10.0
_OVERDUE_S = 0.5
"""Seconds after which news that were not heard are taken for lost."""
_MARGIN_S = 1.0
"""Seconds by which what is held is given up before the store takes it back."""
_RETRIES_S = (0.1, 2.0)
_CLOCK_S = 0.001
"""Seconds by which the clock of the store has to be known better for the limits to follow it."""

_STANDING = frozenset(
    {
        EventType.MODEL_DEACTIVATED,
        EventType.MODEL_ACTIVATED,
        EventType.STANDBY_EXTENDED,
        EventType.STANDBY_RESTORED,
        EventType.PROBE_FAILED,
        EventType.PROBE_RETURNED,
        EventType.POOL_MEMBERSHIP_CHANGED,
        EventType.MODELS_UPDATED,
    }
)
_MEMBERS = frozenset({EventType.POOL_MEMBERSHIP_CHANGED, EventType.MODELS_UPDATED})


class Keeper:
    """One process's side of the shared state.

    Args:
        store: Where it is.
        time: The router's clock.
        wake: Called when something has to be told at once; it only says so to a thread.
        fingerprint: What distinguishes the configuration of this process; empty for none.

    Attributes:
        lost: Why the store cannot be used now; None while it can.
    """

    def __init__(
        self, store: StateStore, time: Clock, wake: Callable[[], object], fingerprint: str = ""
    ) -> None:
        self._store = store
        self._time = time
        self._wake = wake
        self._clock = StoreClock()
        self._replication = Replication(self._clock)
        self._drawing = Drawing(self._clock)
        self._trials = Trials()
        self._estimates = Estimates(self._clock)
        self._versions = Versions(fingerprint, time.now())
        self._process = token_hex(8)
        self._store_name = ""
        self._latest_s = -inf
        self._changed = self._joined = self._gap = False
        self._beat_at = self._snapshot_at = self._estimates_at = self._retry_at = -inf
        self._retry_s = _RETRIES_S[0]
        self._seen = 0
        self._expected: deque[tuple[float, int]] = deque()
        self._orders: list[Write] = []
        self._unreadable: list[str] = []
        self._answers = 0
        self._failures = 0
        self.lost: StoreError | None = None

    @property
    def met(self) -> bool:
        """Whether the store has been read and told what is here, or could not be asked."""
        return self._answers > 1 or self._failures > 0

    def attach(self, router: Router) -> None:
        """Begin to share what a router does."""
        with router.step():
            router.replica.share_limits(self._share)
            router.replica.permits.ask = self._wake
        router.emitter.subscribe(self._note)

    def detach(self, router: Router) -> None:
        """Tell the store of nothing more, and give back what is held."""
        router.emitter.unsubscribe(self._note)
        with router.step():
            exchange = self._gathered(router.replica, leaving=True)
        if self.lost is None and exchange is not None:
            self._ask(router, exchange)
        with router.step():
            # Only now, for the answer has asked for permits once more.
            router.replica.permits.needed = False

    def start_anew(self, router: Router) -> None:
        """Be another process, as a fork is: what the first has reserved is not for this one."""
        self._process = token_hex(8)
        with router.step():
            router.replica.permits.granted.clear()
            for meter in router.replica.meters():
                meter.begin_anew(told=True)
        self._changed = self._gap = True

    def follow(self, fingerprint: str) -> None:
        """Note that this process has read another configuration.

        Args:
            fingerprint: What distinguishes it; empty for none.
        """
        self._versions.change(fingerprint, self._time.now())
        self._wake()

    def turn(self, router: Router) -> None:
        """Tell and ask the store what is due, if anything is."""
        if self._time.now() < self._retry_at:
            return
        with router.step():
            exchange = self._gathered(router.replica)
        if exchange is not None:
            self._ask(router, exchange)

    def be_deaf(self) -> None:
        """Note that nothing can be heard: with the next exchange everything is read."""
        self._gap = True

    def hear(self, router: Router, news: Sequence[News]) -> None:
        """Follow what others have changed.

        Args:
            router: The router.
            news: What the store has told.
        """
        if not self._clock.is_known:
            # Its moments mean nothing yet, and with the first exchange everything is read.
            return
        with router.step():
            for item in news:
                self._gap = self._gap or item.before > self._seen
                self._seen = max(self._seen, item.after)
                self._replication.hear(router.replica, item.entries)
                self._drawing.hear(item.full)
                self._hear_version(self._versions.hear, item.entries)
        self._tell_what_was_read(router)
        if self._gap or any(item.full for item in news):
            self._wake()

    def _share(self, meter: Meter) -> None:
        """Let a limit be shared; until the store has said what time it is, the host has to."""
        now = self._time.now()
        known = self._clock.is_known
        meter.share(self._wake, self._clock.latest_s if known else self._time.wall() - now, now)

    def _note(self, event: RoutingEvent) -> None:
        """Note an event that others have to know of."""
        if event.type in _STANDING:
            self._joined = self._joined or event.type in _MEMBERS
            self._changed = True
            self._wake()

    def _gathered(self, replica: Replica, *, leaving: bool = False) -> Exchange | None:
        """What is due to be told and asked; None for nothing."""
        self._orders = []
        if not self._clock.is_known:
            return None if leaving else Exchange(self._process, snapshot=True)
        now = self._time.now()
        beat = now >= self._beat_at or leaving
        if beat:
            self._beat_at = now + _BEAT_S
        if self._joined:
            self._joined = False
            self._replication.look_again(replica)
        if self._changed or beat:
            self._changed = False
            self._orders = self._replication.gather(replica)
        draws = self._drawing.gather(replica, leaving=leaving)
        claims, releases = self._trials.gather(replica, leaving=leaving)
        writes = [*self._orders, *self._quiet_writes(replica, now)]
        snapshot = self._must_read(now)
        if not (beat or writes or draws or releases or snapshot or replica.permits.wanted):
            return None
        return Exchange(self._process, writes, draws, claims, releases, snapshot)

    def _quiet_writes(self, replica: Replica, now: float) -> list[Write]:
        writes = self._versions.gather(self._clock)
        if now >= self._estimates_at:
            self._estimates_at = now + _ESTIMATES_S
            writes += self._estimates.gather(replica)
        return writes

    def _must_read(self, now: float) -> bool:
        """Whether to read everything: it is time, or news were lost."""
        while self._expected and self._expected[0][0] <= now:
            _, sequence = self._expected.popleft()
            self._gap = self._gap or sequence > self._seen
        return self._gap or now >= self._snapshot_at

    def _ask(self, router: Router, exchange: Exchange) -> None:
        sent_at = self._time.now()
        try:
            answer = self._store.exchange(exchange)
        except StoreError as error:
            self._lose(router, error)
            return
        # It may be the store of somebody else, who has promised not to raise anything else.
        except Exception as error:  # noqa: BLE001 - said above
            self._lose(router, StoreError(StoreFault.BROKEN, f"{type(error).__name__}: {error}"))
            return
        received_at = self._time.now()
        with router.step():
            self._clock.hear(answer.now, sent_at, received_at)
            self._take(router.replica, exchange, answer, sent_at)
        self._return(router)
        self._tell_what_was_read(router)
        self._answers += 1
        if self._answers == 1:
            # It has been read only, because nothing could be told before its time was known.
            self._wake()

    def _take(self, replica: Replica, exchange: Exchange, answer: Answer, sent_at: float) -> None:
        replica.permits.needed = True
        self._follow_clock(replica)
        if answer.store != self._store_name:
            self._meet(replica, answer)
        else:
            orders = len(self._orders)
            self._replication.answered(replica, self._orders, answer.written[:orders])
            self._hear_version(self._versions.answered, answer.written)
            self._drawing.answered(replica, answer.shares, sent_at + exchange.hold_s - _MARGIN_S)
            self._trials.answered(replica, answer.claimed, sent_at + exchange.claim_s - _MARGIN_S)
        self._expected.append((sent_at + _OVERDUE_S, answer.sequence))
        self._unreadable += answer.corrupt
        if answer.entries is not None:
            self._read(replica, answer.entries, answer.sequence)
            self._snapshot_at = sent_at + _SNAPSHOT_S
            self._gap = False

    def _follow_clock(self, replica: Replica) -> None:
        """Let the limits go by the clock of the store, as far as it is known better now."""
        latest_s = self._clock.latest_s
        if abs(latest_s - self._latest_s) > _CLOCK_S:
            self._latest_s = latest_s
            for meter in replica.meters():
                self._share(meter)

    def _meet(self, replica: Replica, answer: Answer) -> None:
        """Begin with a store, or with another one, which knows nothing of what was told.

        What it says to the question is passed over: that was a part of what it has to know.
        """
        if self._store_name:
            self._replication.begin_anew()
            self._drawing.begin_anew(replica)
            self._estimates.begin_anew()
            self._versions.begin_anew()
            self._changed = True
        self._store_name, self._seen = answer.store, answer.sequence
        self._expected.clear()
        self._gap = True

    def _read(self, replica: Replica, entries: Sequence[Entry], sequence: int) -> None:
        self._seen = max(self._seen, sequence)
        self._replication.read(replica, entries, sequence)
        self._unreadable += self._estimates.read(replica, entries)
        self._drawing.forget_those_gone(replica)
        self._hear_version(self._versions.hear, entries)

    def _hear_version(
        self, hear: Callable[[Iterable[Entry]], None], entries: Iterable[Entry]
    ) -> None:
        try:
            hear(entries)
        except facts.UnreadableError as error:
            self._unreadable.append(str(error))

    def _lose(self, router: Router, error: StoreError) -> None:
        """Go on alone, and say so once for each reason."""
        self._changed = True
        self._estimates.begin_anew()
        self._retry_at = self._time.now() + self._retry_s
        self._retry_s = min(2 * self._retry_s, _RETRIES_S[1])
        self._failures += 1
        with router.step():
            router.replica.permits.needed = False
            router.replica.permits.granted.clear()
        if self.lost is None or self.lost.fault is not error.fault:
            self._tell(router, EventType.STATE_STORE_LOST, str(error.fault), message=str(error))
        self.lost = error

    def _return(self, router: Router) -> None:
        if self.lost is not None:
            reason = str(self.lost.fault)
            self.lost, self._retry_s, self._gap = None, _RETRIES_S[0], True
            self._tell(router, EventType.STATE_STORE_RETURNED, reason)

    def _tell_what_was_read(self, router: Router) -> None:
        unreadable = self._unreadable + self._replication.unreadable
        self._unreadable, self._replication.unreadable = [], []
        for message in unreadable:
            self._tell(router, EventType.STATE_DAMAGED, message=message)
        other = self._versions.news()
        if other is not None:
            self._tell(router, EventType.CONFIGURATION_DIFFERS, fingerprint=other)

    def _tell(self, router: Router, what: EventType, reason: str = "", **details: object) -> None:
        router.emitter.emit(RoutingEvent(what, "", "", self._time.now(), reason, details=details))
