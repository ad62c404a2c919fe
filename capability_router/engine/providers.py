"""The providers that have models, and what to tell of them when a step is over.

A step often moves many models of one provider, so what they come to is told once, at its end: as
the events of the step are handed out. Steps that threads take in that moment are told together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from capability_router.engine.events import EventType, RoutingEvent
from capability_router.engine.provider_health import ProviderHealth, ProviderState

__all__ = ["Providers"]


class Providers:
    """The state of every provider that has a model.

    Attributes:
        states: The providers by id.
        changed: Those of which something has changed since it was told, likewise.
    """

    def __init__(self) -> None:
        self.states: dict[str, ProviderState] = {}
        self.changed: dict[str, ProviderState] = {}

    def of(self, provider_id: str) -> ProviderState:
        """Return the state of a provider, which may be new."""
        known = self.states.get(provider_id)
        if known is None:
            known = self.states[provider_id] = ProviderState(provider_id, self.changed)
        return known

    def conclude(self, is_held: Callable[[str], bool], now: float) -> list[RoutingEvent]:
        """Return what has become of the providers since the last time.

        Args:
            is_held: Whether an order still holds a model of a provider for the whole of it.
            now: Monotonic seconds.
        """
        changed = list(self.changed.values())
        self.changed.clear()
        return [event for state in changed for event in self._conclude(state, is_held, now)]

    def _conclude(
        self, state: ProviderState, is_held: Callable[[str], bool], now: float
    ) -> Iterator[RoutingEvent]:
        health = state.health
        state.downtime.note(now, down=health is ProviderHealth.DOWN)
        if state.cause is not None:
            yield from _whole(state, now, held=is_held(state.id))
        if health is not state.told:
            details: dict[str, object] = {
                "provider": state.id,
                "from": str(state.told),
                "to": str(health),
            }
            state.told = health
            yield _event(EventType.PROVIDER_HEALTH_CHANGED, now, state.cause or "", None, details)
        if not state.models:
            self.states.pop(state.id, None)


def _whole(state: ProviderState, now: float, *, held: bool) -> Iterator[RoutingEvent]:
    """Tell that a provider was sent away, or taken back, as a whole."""
    cause = state.cause or ""
    details: dict[str, object] = {"provider": state.id, "health": str(state.health)}
    if held and not state.sent_away:
        state.sent_away = True
        yield _event(EventType.PROVIDER_DEACTIVATED, now, cause, state.until, details)
    elif not held:
        # Where all of its models were spared, nothing was told and nothing is taken back.
        if state.sent_away:
            yield _event(EventType.PROVIDER_RECOVERED, now, cause, None, details)
        state.sent_away, state.cause, state.until = False, None, None


def _event(
    event_type: EventType, now: float, reason: str, until: float | None, details: dict[str, object]
) -> RoutingEvent:
    return RoutingEvent(event_type, "", "", now, reason, until, details)
