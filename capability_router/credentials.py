"""API keys that are kept elsewhere, and read again when a provider refuses one.

So a key that was rotated needs no restart. Knows how to read each key, not where it is kept; reads
none unless it was refused.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from threading import Lock

from capability_router.engine.errors import ConfigurationError
from capability_router.engine.lease import Lease
from capability_router.engine.model import Provider, Secret
from capability_router.engine.outcome import FailureKind, Outcome
from capability_router.engine.timing import Clock
from capability_router.engine.untrusted import without

__all__ = ["Credentials", "without_key"]

_log = logging.getLogger(__name__)

_PAUSE_S = 2.0
"""Seconds between two readings of one key: the shortest default cooldown, so that a trial that is
refused may read again, and a thousand requests that fail at once may not."""


@dataclass(slots=True)
class _Kept:
    """One key, with how it is read and what was read last."""

    read: Callable[[], Secret]
    key: Secret | None
    read_at: float = -inf
    changed_at: float = -inf
    guard: Lock = field(default_factory=Lock)

    def reread(self) -> bool:
        """Read the key; True if it is another one."""
        new = self.read()
        changed = self.key is None or new.reveal() != self.key.reveal()
        self.key = new
        return changed


class Credentials:
    """The keys of a router's providers that are kept elsewhere. May be used by any thread.

    Args:
        clock: Source of time; the same that leases are timed with.
        use: Takes the id of a provider and its new key, which every later attempt is to use.
    """

    def __init__(self, clock: Clock, use: Callable[[str, Secret], object]) -> None:
        self._clock = clock
        self._use = use
        self._kept: dict[str, _Kept] = {}

    def follow(
        self, readers: Mapping[str, Callable[[], Secret]], providers: Iterable[Provider]
    ) -> None:
        """Keep these keys in the place of those before.

        Args:
            readers: What reads the key of a provider, by the provider's id.
            providers: The providers with the keys that they have now.
        """
        self._kept = {
            provider.id: self._followed(readers[provider.id], provider)
            for provider in providers
            if provider.id in readers
        }

    def excuse(self, lease: Lease, outcome: Outcome) -> bool:
        """Return whether an attempt failed for a key that is another one now; see ``refresh``."""
        failure = outcome.failure
        if failure is None or failure.kind is not FailureKind.AUTH:
            return False
        return self.refresh(lease.model.provider, lease.started_at)

    def refresh(self, provider_id: str, began_at: float) -> bool:
        """Read a refused key again, unless that was done a moment ago.

        Args:
            provider_id: Whose key was refused.
            began_at: Monotonic seconds when the refused attempt began.

        Returns:
            True if the key is another one now than the attempt had: the next has the new one.
            False if it is the same, cannot be read, or is not kept elsewhere.
        """
        kept = self._kept.get(provider_id)
        if kept is None:
            return False
        # Held while reading: who failed with the same key waits for what comes out.
        with kept.guard:
            now = self._clock.now()
            if began_at < kept.changed_at:
                return True
            if now - kept.read_at < _PAUSE_S:
                return False
            kept.read_at = now
            return self._renewed(provider_id, kept)

    def _followed(self, read: Callable[[], Secret], provider: Provider) -> _Kept:
        kept, before = _Kept(read, provider.api_key), self._kept.get(provider.id)
        if before is not None and before.key is not None and kept.key is not None:
            is_same = before.key.reveal() == kept.key.reveal()
            # Attempts in progress have the key that was configured before.
            kept.changed_at = before.changed_at if is_same else self._clock.now()
        return kept

    def _renewed(self, provider_id: str, kept: _Kept) -> bool:
        try:
            changed = kept.reread()
        except ConfigurationError as error:
            _log.warning("the key of provider %r cannot be read again: %s", provider_id, error)
            return False
        if changed and kept.key is not None:
            self._use(provider_id, kept.key)
            # After the change: who begins from now on cannot have the old key.
            kept.changed_at = self._clock.now()
            _log.info("the key of provider %r was refused, and is another one now", provider_id)
        return changed


def without_key(outcome: Outcome, provider: Provider) -> Outcome:
    """Return an outcome whose failure does not quote the key of its provider."""
    failure, key = outcome.failure, provider.api_key
    if failure is None or key is None:
        return outcome
    message = without(failure.message, key.reveal())
    return replace(outcome, failure=replace(failure, message=message))
