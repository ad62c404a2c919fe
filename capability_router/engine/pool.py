"""A pool: the models at or under a node, which of them are active, and who serves next.

Every public method is one step under the guard; its events are handed out after it, so that a
subscriber may use the pool.
"""

from __future__ import annotations

from collections.abc import Collection

from capability_router.engine.displaying import Displayed
from capability_router.engine.errors import NoAvailableModelError
from capability_router.engine.limits import Forecast
from capability_router.engine.membership import PoolPreferences
from capability_router.engine.model import Model
from capability_router.engine.pooling import RoutedPool
from capability_router.engine.request import CompletionRequest
from capability_router.engine.state import PoolState, StandbyState

__all__ = ["CapabilityPool"]


class CapabilityPool(RoutedPool, Displayed):
    """The models that serve one node of the tree, with their rotation.

    Args:
        name: Name of the pool.
        hierarchy_node: Node it targets: path, unique last segment or alias.
        rotation_policy: When models leave, return, and which one serves.
        event_emitter: Receives an event for every change.
        preferences: Which models to take, and orders of preference.
        tree: The tree that the node and the models' capabilities belong to; None for the
            default one.
        states: Counters by model id, to share with other pools; None for its own.
        accounts: Meters of the limits, to share with other pools; None for its own.
        world: Clock and source of chance; None for the system's.
        guard: Entered around every step, for instance an ``RLock`` where threads share the pool.
        observability: A further sink for this pool's events.
        outbox: Where events wait for the end of a router's step; None for its own. A pool with
            the outbox of a router is the router's: that decides who is in it.

    Raises:
        KeyError: If the tree has no such node.
    """

    @property
    def preferences(self) -> PoolPreferences:
        """Which models it takes, and in which order it prefers them."""
        return self._preferences

    def get_active_models(self) -> list[Model]:
        """Return the models that are eligible now, in the order they joined."""
        with self._guard:
            self.catch_up(self.now())
            models = [m.model for m in self._roster.members.values() if m.standby is None]
        self._publish()
        return models

    def get_standby_models(self) -> list[Model]:
        """Return the models that are excluded now, in the order they left."""
        with self._guard:
            self.catch_up(self.now())
            models = [member.model for member in self._roster.standby.values()]
        self._publish()
        return models

    def get_standby(self) -> list[StandbyState]:
        """Return why, since when and until when models are excluded, in the order they left."""
        with self._guard:
            self.catch_up(self.now())
            states = self._roster.standby_states()
        self._publish()
        return states

    def get_state(self) -> PoolState:
        """Return the pool's counts at this moment."""
        with self._guard:
            self.catch_up(self.now())
            standby = len(self._roster.standby)
            state = PoolState(
                name=self.name,
                hierarchy_node=self.hierarchy_node,
                active_count=len(self._roster.members) - standby,
                standby_count=standby,
                total_requests=self._total_requests,
                rotation_events=self._roster.transitions,
            )
        self._publish()
        return state

    def reasons(
        self, request: CompletionRequest, node: str, tried: Collection[str] = ()
    ) -> dict[str, str]:
        """Return by model id why each member at or under a node cannot serve a request now.

        Raises:
            KeyError: If the tree has no such node.
        """
        with self._guard:
            return self.inquiry.obstacles(request, self._tree.resolve(node).path, tried, self.now())

    def next_trial_s(self, request: CompletionRequest, node: str) -> float | None:
        """Return the seconds until a standby model under a node may be tried; None for never."""
        with self._guard:
            return self.inquiry.next_return_s(request, self._tree.resolve(node).path, self.now())

    def forecast(self) -> list[Forecast]:
        """Return for each limit when it runs out at the present rate, and when it resets.

        The pool's own limits come first, then those of its models and their providers.
        """
        with self._guard:
            return self._till.forecast(self._roster.members.values(), self.now())

    def add_model(self, model: Model) -> None:
        """Take a model in as active; one that is in already stays as it is.

        Raises:
            KeyError: If one of its capabilities is no node of the tree.
            ValueError: If it does not belong to this pool, or the pool is a router's.
        """
        self._refuse_if_managed("register")
        if not self.covers(model):
            raise ValueError(
                f"model {model.id!r} does not belong to pool {self.name!r}: none of its"
                f" capabilities {list(model.capabilities)} is at or under"
                f" {self.hierarchy_node!r}, or the pool's filters do not admit it"
            )
        with self._guard:
            self.join(model)
        self._publish()

    def remove_model(self, model: Model) -> None:
        """Drop a model, active or not; one that is not in the pool is no error.

        Raises:
            ValueError: If the pool is a router's.
        """
        self._refuse_if_managed("unregister")
        with self._guard:
            self.leave(model)
        self._publish()

    def select(self, request: CompletionRequest) -> Model:
        """Return the model that the strategy puts first.

        No report follows, so there is nothing to judge a trial by: a model whose standby time
        has passed is simply active again. What the request is estimated to need of the limits
        counts as used. ``CapabilityRouter.select`` hands out a lease, and tries such a model with
        a single request.

        Raises:
            NoAvailableModelError: If no active model meets the request.
        """
        with self._guard:
            now = self.now()
            for member in list(self._roster.due(now)):
                self._rotator.take_back(member, now)
            lease = self.pick(request, self.hierarchy_node, (), now)
            for meter, _, _ in lease.reserved if lease else ():
                if meter.spent:
                    self.rationing.spent(meter, now)
            node = self.hierarchy_node
            reasons = {} if lease else self.inquiry.obstacles(request, node, (), now)
            wait_s = None if lease else self.inquiry.next_return_s(request, node, now)
        self._publish()
        if lease is None:
            raise NoAvailableModelError(node, reasons, retry_after_s=wait_s)
        return lease.model

    def deactivate(self, model: Model, reason: str) -> None:
        """Move a model to standby; one that is there already takes the later of the two ends.

        Args:
            model: A member of the pool.
            reason: Why. ``manual``, and every reason that the recovery policy does not know,
                lasts until ``recover``.

        Raises:
            KeyError: If the model is not in the pool.
        """
        with self._guard:
            self.send_away(model, reason)
        self._publish()

    def recover(self, model: Model) -> None:
        """Move a model back to active and forget its failures.

        Raises:
            KeyError: If the model is not in the pool.
        """
        with self._guard:
            self.take_back(model)
        self._publish()

    def __contains__(self, model: object) -> bool:
        return isinstance(model, Model) and model.id in self._roster.members

    def __len__(self) -> int:
        return len(self._roster.members)

    def __repr__(self) -> str:
        state = self.get_state()
        return (
            f"CapabilityPool({self.name!r}, {self.hierarchy_node!r},"
            f" active={state.active_count}, standby={state.standby_count})"
        )

    def _publish(self) -> None:
        """Hand events out; the guard must not be held."""
        for event in self._outbox.drained(self._guard):
            self._emitter.emit(event)
            if self._observability is not None:
                self._emitter.deliver(self._observability.record, event)

    def _refuse_if_managed(self, instead: str) -> None:
        if self._managed:
            raise ValueError(f"pool {self.name!r} is a router's: use router.{instead}")
