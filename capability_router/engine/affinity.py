"""Selection by session: what belongs together stays with one model while it is active.

A provider keeps the prompts it has just read in a cache, so the next turn of a conversation is
cheaper and faster where the last one was.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Collection, Iterable, Iterator
from hashlib import blake2b
from heapq import nlargest
from itertools import chain
from random import Random

from capability_router.engine.member import Member
from capability_router.engine.request import CompletionRequest

__all__ = ["SessionSticky"]

_SESSIONS = 10_000
"""Sessions remembered at once; of one that is dropped, the model is only worked out again."""
_KEPT = 4
"""Members remembered for a session, so that one that fails, leaves or is full needs no weighing
anew; four times as many each time that none of them is left."""
_ADMISSIONS = 64
"""Admissions remembered; a session not seen for longer is worked out again."""
_DRAWS = 8
"""Draws that may hit a tried member before those that are not tried are listed."""

_MASK = (1 << 64) - 1


class SessionSticky:
    """The member that a session belongs to; a random one for a request without one.

    Rendezvous hashing (Thaler and Ravishankar, "Using name-based mappings to increase hit rates",
    1998): the pair of a session and a member has a weight, and the member with the highest weight
    serves. Weights come from the names alone, so every process, every kind of request and every
    run agrees on them. A member that leaves takes along its own sessions only, which spread over
    the others, each to the next highest weight; they return with it.

    The first request of a session weighs every member: milliseconds with ten thousand of them.
    Its best four are remembered, and compared with those that are admitted later. A member that
    is full is weighed as well: its sessions go to the next for the moment, and nothing is weighed
    anew when it has room again.

    Args:
        rng: Source of chance for requests that name no session, or an empty one.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._seats: dict[str, _Seat] = {}
        # Withdrawn because they are full.
        self._full: dict[str, _Seat] = {}
        # The same in no order but without gaps, to draw from.
        self._drawn_from: list[_Seat] = []
        self._recent: deque[_Seat] = deque(maxlen=_ADMISSIONS)
        self._admissions = 0
        # The one that was asked for last is at the end.
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    def admit(self, member: Member) -> None:
        """Take in a member that became active; its sessions return to it."""
        seat = self._full.pop(member.model.id, None)
        if seat is None or seat.member is not member:
            seat = _Seat(member)
            self._recent.append(seat)
            self._admissions += 1
        seat.place = len(self._drawn_from)
        self._seats[member.model.id] = seat
        self._drawn_from.append(seat)

    def withdraw(self, member: Member) -> None:
        """Drop a member that is active no more."""
        seat = self._seats.pop(member.model.id)
        last = self._drawn_from.pop()
        if last is not seat:
            self._drawn_from[seat.place] = last
            last.place = seat.place
        if seat.is_full:
            self._full[member.model.id] = seat

    def choose(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> Member | None:
        """Return the member with the highest weight for the session that is not tried."""
        if not request.session:
            return self._draw(tried)
        session = self._sessions.get(request.session)
        if session is None or session.admissions != self._admissions:
            session = self._weighed(request.session, session)
        self._sessions.move_to_end(request.session)
        return self._first(session, tried) or self._beyond(request.session, session, tried)

    def chosen(self, member: Member, tried: Collection[str], now: float) -> None:
        """Nothing to note: who serves a session does not depend on use."""

    def _weighed(self, name: str, known: _Session | None) -> _Session:
        """Compare the best of a session with those admitted since; all, if too much has changed."""
        behind = self._admissions - known.admissions if known else _ADMISSIONS + 1
        if known is None or behind > _ADMISSIONS:
            return self._weigh_all(name, _KEPT)
        since = (self._recent[-place] for place in range(1, behind + 1))
        best = {*known.best, *_weights(_digest(name), since)}
        known.best = nlargest(max(_KEPT, len(known.best)), best)
        known.admissions = self._admissions
        return known

    def _weigh_all(self, name: str, kept: int) -> _Session:
        # Who has left meanwhile has not been withdrawn again.
        self._full = {each: seat for each, seat in self._full.items() if seat.is_full}
        seats = chain(self._drawn_from, self._full.values())
        best = nlargest(kept, _weights(_digest(name), seats))
        session = self._sessions[name] = _Session(best, self._admissions)
        if len(self._sessions) > _SESSIONS:
            self._sessions.popitem(last=False)
        return session

    def _first(self, session: _Session, tried: Collection[str]) -> Member | None:
        for _, model_id in session.best:
            seat = self._seats.get(model_id)
            if seat is not None and model_id not in tried:
                return seat.member
        return None

    def _beyond(self, name: str, session: _Session, tried: Collection[str]) -> Member | None:
        """The best of all, where those that are remembered have left or are tried."""
        if any(model_id not in self._seats for _, model_id in session.best):
            found = self._first(self._weigh_all(name, 4 * len(session.best)), tried)
            if found is not None:
                return found
        untried = (seat for model_id, seat in self._seats.items() if model_id not in tried)
        best = max(_weights(_digest(name), untried), default=None)
        return None if best is None else self._seats[best[1]].member

    def _draw(self, tried: Collection[str]) -> Member | None:
        seats = self._drawn_from
        for _ in range(_DRAWS if seats else 0):
            member = seats[int(self._rng.random() * len(seats))].member
            if member.model.id not in tried:
                return member
        untried = [seat for seat in seats if seat.member.model.id not in tried]
        return self._rng.choice(untried).member if untried else None


class _Seat:
    """A member with the digest of its name and its place in the list to draw from."""

    __slots__ = ("digest", "member", "place")

    def __init__(self, member: Member) -> None:
        self.member = member
        self.digest = _digest(member.model.id)
        self.place = 0

    @property
    def is_full(self) -> bool:
        """Whether the member is active, but for having no room."""
        return self.member.standby is None and self.member.state.is_full


class _Session:
    """The highest weights with their models, best first, and how many admissions they take in.

    Of all members that were active at some time since the session was weighed, full or not, no
    other has a higher weight than these; so of those that have left nothing needs to be noted.
    """

    __slots__ = ("admissions", "best")

    def __init__(self, best: list[tuple[int, str]], admissions: int) -> None:
        self.best = best
        self.admissions = admissions


def _digest(name: str) -> int:
    """64 bits of a name; not ``hash``, which differs from process to process."""
    # A lone surrogate is no valid UTF-8, but may stand in a name that came from anywhere.
    encoded = name.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(encoded, digest_size=8).digest(), "big")


def _weights(session: int, seats: Iterable[_Seat]) -> Iterator[tuple[int, str]]:
    """Yield the weight of a session at each seat, with the model's id to settle ties.

    The digests are even already; that those of two sessions must rank the seats differently is
    left to the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom
    number generators", 2014, with Stafford's constants).
    """
    for seat in seats:
        mixed = session ^ seat.digest
        mixed = ((mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ mixed >> 27) * 0x94D049BB133111EB) & _MASK
        yield mixed ^ mixed >> 31, seat.member.model.id
