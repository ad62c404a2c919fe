"""What people tell a router: who is to serve no more, and who may again."""

from __future__ import annotations

from math import inf

from capability_router.engine.errors import UnknownModelError, nearest
from capability_router.engine.foresight import Foresight
from capability_router.engine.reason import Reason

__all__ = ["Steering"]


class Steering(Foresight):
    """Orders of people; ``Router`` tells of the arguments."""

    def deactivate(
        self, model_id: str, reason: str = Reason.MANUAL, *, for_s: float | None = None
    ) -> None:
        """Move a model to standby in all of its pools, also in those that it joins later.

        Args:
            model_id: Id of the model.
            reason: Why; see ``CapabilityPool.deactivate``.
            for_s: Seconds after which it is active again, > 0; None to leave that to ``recover``,
                or to the cooldown of the reason, if it has one.

        Raises:
            UnknownModelError: If it is not registered.
            ValueError: If ``for_s`` is not above 0.
        """
        with self._guard:
            self._topology.send_away(model_id, reason, self._until(for_s))
        self._publish()

    def drain(
        self, provider: str, reason: str = Reason.DRAINED, *, for_s: float | None = None
    ) -> None:
        """Move every model of a provider to standby, also those that are registered later.

        Attempts in progress end as they will.

        Args:
            provider: Its id.
            reason: Why.
            for_s: Seconds after which they are active again, > 0; None to leave it to ``recover``.

        Raises:
            ValueError: If it has no model and is not declared, or ``for_s`` is not above 0.
        """
        with self._guard:
            self._check_provider(provider)
            until = self._until(for_s)
            now = self.world.clock.now()
            self._topology.drain(provider, reason, inf if until is None else until, now)
        self._publish()

    def recover(self, name: str) -> None:
        """Move a model, or what holds a whole provider, back to active in all pools.

        Args:
            name: Id of the model, or of the provider.

        Raises:
            UnknownModelError: If there is no such model and no such provider.
        """
        with self._guard:
            if name in self._topology.models:
                self._topology.take_back(name)
            elif name in self._known_providers():
                self._topology.take_provider_back(name)
            else:
                known = [*self._topology.models, *self._known_providers()]
                raise UnknownModelError(name, nearest(name, known))
        self._publish()

    def _until(self, for_s: float | None) -> float | None:
        if for_s is not None and not 0 < for_s < inf:
            raise ValueError(f"for_s {for_s} must be above 0 and finite, or None")
        return None if for_s is None else self.world.clock.now() + for_s

    def _known_providers(self) -> dict[str, None]:
        return dict.fromkeys([*self._providers, *self._topology.providers.states])

    def _check_provider(self, provider: str) -> None:
        known = list(self._known_providers())
        if provider not in known:
            near = nearest(provider, known)
            hint = f"; nearest: {near[0]}" if near else ""
            raise ValueError(f"provider {provider!r} is not declared and has no model{hint}")
