"""How a provider fares, by how many of its models are on standby.

Knows no pool: models count themselves in and out.
"""

from __future__ import annotations

from enum import StrEnum

from capability_router.engine.downtime import Downtime

__all__ = ["ProviderHealth", "ProviderState"]


class ProviderHealth(StrEnum):
    """How much of a provider is left; a model counts as on standby if it is in any pool."""

    HEALTHY = "healthy"
    """None of its models is on standby."""
    DEGRADED = "degraded"
    """Some of them are."""
    DOWN = "down"
    """All of them are."""


class ProviderState:
    """What is known right now of a provider with all of its models.

    Args:
        provider_id: Its id.
        changed: Takes the provider, by its id, whenever one of the counts has changed.

    Attributes:
        id: Its id.
        models: Registered models of it.
        on_standby: How many of them are on standby in at least one pool.
        told: Its health as it was told last.
        downtime: How long all of its models were on standby.
        cause: Why it was sent away as a whole; None if it was not, or has been taken back.
        until: Monotonic seconds of the first trial after that; None if only a person ends it.
        sent_away: True once that was told.
    """

    __slots__ = (
        "_changed",
        "cause",
        "downtime",
        "id",
        "models",
        "on_standby",
        "sent_away",
        "told",
        "until",
    )

    def __init__(self, provider_id: str, changed: dict[str, ProviderState]) -> None:
        self.id = provider_id
        self._changed = changed
        self.models = self.on_standby = 0
        self.told = ProviderHealth.HEALTHY
        self.downtime = Downtime()
        self.cause: str | None = None
        self.until: float | None = None
        self.sent_away = False

    @property
    def health(self) -> ProviderHealth:
        """Its health now; that of one without models is good."""
        if not self.on_standby:
            return ProviderHealth.HEALTHY
        return ProviderHealth.DOWN if self.on_standby == self.models else ProviderHealth.DEGRADED

    def count(self, *, models: int = 0, on_standby: int = 0) -> None:
        """Count models in or out; without any, note that orders have changed.

        Args:
            models: How many more are registered, or fewer.
            on_standby: How many more are on standby, or fewer.
        """
        self.models += models
        self.on_standby += on_standby
        self._changed[self.id] = self

    def send_away(self, cause: str, until: float | None) -> None:
        """Note that all of its models were sent away; of two causes the first is kept.

        Args:
            cause: Why.
            until: Monotonic seconds of the first trial; None if only a person ends it.
        """
        if self.cause is None:
            self.cause, self.until = cause, until
            self._changed[self.id] = self
