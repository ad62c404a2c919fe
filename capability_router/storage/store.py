"""What a store of shared state is: one exchange of news and claims, and a way to hear of others.

Knows keys, amounts and moments, no model and no pool: what they mean is for ``sharing``. All
moments are seconds since 1970 UTC by the clock of the store, never of the process that asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from typing import Protocol

__all__ = [
    "SCHEMA_VERSION",
    "Answer",
    "Claim",
    "Draw",
    "Entry",
    "Exchange",
    "News",
    "Share",
    "StateStore",
    "StoreError",
    "StoreFault",
    "Write",
]

SCHEMA_VERSION = 1
"""Version of what is kept; a store of a newer one is refused, one of an older one is migrated."""


class StoreFault(StrEnum):
    """Why a store cannot be used."""

    UNREACHABLE = "unreachable"
    """Refused, reset, closed, unknown host, wrong password."""
    SLOW = "slow"
    """No answer in time, or locked for longer than that."""
    READ_ONLY = "read_only"
    FULL = "full"
    """No memory or no room on the disk."""
    NEWER = "newer"
    """Written by a newer version of this package."""
    OUTDATED = "outdated"
    """A server that lacks what is needed."""
    FOREIGN = "foreign"
    """The key space or the file belongs to something else."""
    CORRUPT = "corrupt"
    """What is kept cannot be read."""
    BROKEN = "broken"
    """The store raised what it should not."""


class StoreError(Exception):
    """A store could not be asked; nothing of the exchange has happened, or all of it has.

    Args:
        fault: Why.
        message: For people: what was asked, what was found, and what to do. Never a password.
    """

    def __init__(self, fault: StoreFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Entry:
    """One shared fact.

    Attributes:
        key: Its name.
        value: JSON text; None for one that was dropped.
        weight: Of two writes that did not know of each other, the heavier one stays; may be
            ``inf``.
        expires_at: Store seconds after which it is forgotten; ``inf`` for never.
        version: The sequence number with which it last changed, >= 1.
    """

    key: str
    value: str | None
    weight: float = 0.0
    expires_at: float = inf
    version: int = 0


@dataclass(frozen=True, slots=True)
class Write:
    """A change of one entry.

    It is carried out if the entry's version is still ``base``, or if there is none. Otherwise
    somebody else has changed it meanwhile, and nothing that the writer did not know is lost: a
    drop changes nothing, and a value replaces the other only if it is heavier.

    Attributes:
        key: Name of the entry.
        value: JSON text; None to drop it.
        weight: See ``Entry``.
        expires_at: See ``Entry``.
        base: Version that the writer knows; 0 for none.
        quiet: True if nobody has to hear of it at once: it makes no news, and its version is that
            of the last that did.
    """

    key: str
    value: str | None
    weight: float = 0.0
    expires_at: float = inf
    base: int = 0
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Draw:
    """What one process has used of one limit, and how much it would reserve.

    Attributes:
        meter: Name of the limit.
        capacity: How much all processes together may use in a window.
        width_s: Seconds of each of the sixty buckets of a rolling window; None for another.
        window: Store seconds, whole, at which the calendar window ends; 0 for a rolling window and
            for one that never ends.
        used: What was used since the last exchange, by bucket: in a rolling window the store
            seconds divided by ``width_s``, rounded down, else ``window``. Negative for what was
            given back.
        grant: What this process took itself to hold when that began.
        want: What it wants to hold from now on; 0 to hold nothing.
    """

    meter: str
    capacity: int
    width_s: float | None = None
    window: int = 0
    used: Mapping[int, int] = field(default_factory=dict[int, int])
    grant: int = 0
    want: int = 0


@dataclass(frozen=True, slots=True)
class Share:
    """How a limit stands, and what of it is reserved for the process that asked.

    Attributes:
        used: What all processes have used in the current window, this one included, and what
            was reserved by those that were not heard of again.
        reserved: What the others hold.
        held: What this process holds now.
        holders: How many processes hold something, this one included if it does.
        frees_at: Store seconds at which the first of what was used in a rolling window is
            forgotten, or the calendar window ends; ``inf`` for never, or if nothing was used.
    """

    used: int
    reserved: int
    held: int
    holders: int
    frees_at: float


@dataclass(frozen=True, slots=True)
class Claim:
    """The wish to be the only process that does something.

    Attributes:
        key: What.
        busy: True if it is being done, so that the claim must not go to a rival.
    """

    key: str
    busy: bool = False


@dataclass(frozen=True, slots=True)
class Exchange:
    """All that one process tells and asks in one step, which happens as a whole or not at all.

    Attributes:
        process: Who asks: a name that no other process has, nor this one after a restart.
        writes: Changes of entries.
        draws: Limits.
        claims: What this process wants to be the only one for, or still is.
        releases: Claims that it gives up.
        snapshot: True to get every entry.
        hold_s: Seconds that what is reserved is kept for the process without another exchange
            about that limit, > 0; after them it counts as used in the bucket of that moment, or
            in its calendar window.
        claim_s: The same for claims, which are free after them. A claim that is not ``busy`` and
            that somebody else has asked for in vain is not prolonged, but free.
    """

    process: str
    writes: Sequence[Write] = ()
    draws: Sequence[Draw] = ()
    claims: Sequence[Claim] = ()
    releases: Sequence[str] = ()
    snapshot: bool = False
    hold_s: float = 30.0
    claim_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a store says to an exchange.

    Attributes:
        now: Store seconds.
        store: Name that the store got when it was empty: another one means that it was emptied.
        sequence: Number of the last change that made news, this exchange's included.
        written: For each write, in order, the entry as it is now.
        shares: For each draw, in order, how the limit stands now.
        claimed: The keys of the claims that this process holds now.
        entries: Every entry that has not expired, if they were asked for; else None.
        corrupt: Keys whose values could not be read: each counts as absent, and was dropped. Of a
            file that was damaged as a whole, the name under which it is kept now.
    """

    now: float
    store: str
    sequence: int
    written: tuple[Entry, ...] = ()
    shares: tuple[Share, ...] = ()
    claimed: frozenset[str] = frozenset()
    entries: tuple[Entry, ...] | None = None
    corrupt: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class News:
    """What an exchange of some process has changed.

    Attributes:
        before: Sequence number before it. Who knows less has missed something, and reads a
            snapshot.
        after: Sequence number after it.
        entries: The entries that changed.
        full: Limits of which nothing is left since.
    """

    before: int
    after: int
    entries: tuple[Entry, ...] = ()
    full: tuple[str, ...] = ()


class StateStore(Protocol):
    """Where processes share what they know.

    ``exchange`` and ``listen`` are called from two threads at once, each by one thread at a time.
    """

    def exchange(self, exchange: Exchange) -> Answer:
        """Tell and ask, in one step.

        Raises:
            StoreError: If the store cannot be asked now. The next call tries again.
        """
        ...

    def listen(self, timeout_s: float) -> Sequence[News]:
        """Wait for changes, this process's own among them.

        Args:
            timeout_s: Seconds to wait at most, >= 0.

        Returns:
            The changes since the last call, oldest first; none if there are none. The first call
            begins with what changes from then on.

        Raises:
            StoreError: If nothing can be heard now. The next call tries again; what has changed
                meanwhile may be missing from what it returns.
        """
        ...

    def close(self) -> None:
        """Let go of connections and files; may be called twice, and while another call waits."""
        ...
