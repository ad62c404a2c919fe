"""Claims to be the only process that tries a model again."""

from __future__ import annotations

from collections.abc import Collection

from capability_router.engine.permits import Trial
from capability_router.engine.replica import Replica
from capability_router.storage import facts
from capability_router.storage.store import Claim

__all__ = ["Trials"]


class Trials:
    """The permits of one router against the claims of the store.

    A permit is asked for when a request would be a trial, and kept until it was one, unless
    another process has asked as well: that one may have its request sooner.
    """

    def __init__(self) -> None:
        self._asked: dict[str, Trial] = {}

    def gather(self, replica: Replica, *, leaving: bool = False) -> tuple[list[Claim], list[str]]:
        """Return what to claim, and which claims to give up.

        Args:
            replica: The router.
            leaving: True to give up all of them.
        """
        permits = replica.permits
        self._asked = {}
        claims, releases = list[Claim](), list[str]()
        for trial in dict.fromkeys([*permits.granted, *permits.wanted]):
            in_flight = None if leaving else replica.trial(trial)
            key = facts.claim_key(trial)
            # What is not in flight may go to a rival while the question is under way.
            had = None if in_flight else permits.granted.pop(trial, None)
            permits.wanted.pop(trial, None)
            if in_flight is not None:
                self._asked[key] = trial
                claims.append(Claim(key, busy=in_flight))
                if not in_flight:
                    permits.wanted[trial] = None
            elif had is not None:
                releases.append(key)
        return claims, releases

    def answered(self, replica: Replica, claimed: Collection[str], until: float) -> None:
        """Take in which claims were granted.

        Args:
            replica: The router.
            claimed: Keys of those that were.
            until: Monotonic seconds up to which they are.
        """
        permits = replica.permits
        for key, trial in self._asked.items():
            if key in claimed:
                permits.granted[trial] = until
                permits.wanted.pop(trial, None)
            else:
                permits.granted.pop(trial, None)
