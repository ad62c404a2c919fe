"""The front door: models, pools and calls of one application, safe for threads and event loops."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, TypeVar

from capability_router.clock import SystemClock, WaitingClock
from capability_router.credentials import Credentials, without_key
from capability_router.driving import drivers
from capability_router.driving.any_answer import AnyAnswer
from capability_router.engine.blueprint import Blueprint
from capability_router.engine.chance import Chance
from capability_router.engine.decision import Decision
from capability_router.engine.displaying import Displayed
from capability_router.engine.events import EventEmitter
from capability_router.engine.faults import FAULT_TABLE, FaultRule
from capability_router.engine.lease import Lease
from capability_router.engine.model import Model, Provider, Secret
from capability_router.engine.observing import ObservabilityConnector
from capability_router.engine.outcome import FailureKind, Outcome
from capability_router.engine.request import CompletionRequest
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.steps import Try
from capability_router.engine.timing import World, default_world
from capability_router.engine.tree import CapabilityTree
from capability_router.keeping import KeepingRouter
from capability_router.observability.declared import DeclaredConnectors
from capability_router.observability.journal import Journal
from capability_router.sharing import Shared

if TYPE_CHECKING:
    from capability_router.catalogue.catalogue import Catalogue
    from capability_router.catalogue.environment import Inventory
    from capability_router.config import SecretResolver
    from capability_router.probing import Prober

__all__ = ["CapabilityRouter"]

T = TypeVar("T")

_CONFIGURATION = "CAPABILITY_ROUTER_CONFIG"
"""Environment variable that names the YAML file of a router that none was given for."""

_shared: Shared[CapabilityRouter] = Shared()


class CapabilityRouter(KeepingRouter, Displayed):
    """Routes requests for a capability to one of the models that have it.

    Every method may be called from any thread and any event loop; nothing waits under its lock.

    Args:
        tree: The capability tree; None for the default one.
        providers: How to reach each provider; one that is not named is reached in its vendor's
            usual way, with credentials from the environment.
        policy: Rotation of a pool for which none is given; None for the defaults.
        faults: The fault table.
        emitter: Receives every event; None for a new one.
        observability: Sinks that get every event and decision.
        state: Address of the store in which processes share what they know; None for none. See
            ``share_state``.
        clock: Source of time; None for the system's.
        seed: Seed of jitter and draws, to replay a run; None for one from the system.
        lease_ttl_s: Seconds after which a lease that nobody ended expires, > 0.

    Example:
        >>> router = CapabilityRouter()
        >>> _ = router.register(Model("openai/gpt-4o-mini", ("chat-completion",)))
        >>> router.call("chat-completion", lambda model: model.name)
        'gpt-4o-mini'
    """

    def __init__(
        self,
        tree: CapabilityTree | None = None,
        *,
        providers: Iterable[Provider] = (),
        policy: RotationPolicy | None = None,
        faults: Mapping[FailureKind, FaultRule] = FAULT_TABLE,
        emitter: EventEmitter | None = None,
        observability: Iterable[ObservabilityConnector] = (),
        state: str | None = None,
        clock: WaitingClock | None = None,
        seed: int | None = None,
        lease_ttl_s: float = 600.0,
    ) -> None:
        self.clock: WaitingClock = clock or SystemClock()
        rng = default_world().rng if seed is None else Chance(seed)
        super().__init__(
            tree,
            providers=providers,
            policy=policy,
            faults=faults,
            emitter=emitter,
            world=World(self.clock, rng),
            guard=RLock(),
            lease_ttl_s=lease_ttl_s,
        )
        self._credentials = Credentials(self.clock, self._use_key)
        self._secrets: Mapping[str, SecretResolver] = {}
        self._path: Path | None = None
        self._inventory: Inventory | None = None
        self._journal = Journal(self.emitter)
        self._connectors = DeclaredConnectors(self._journal, self.clock)
        for connector in observability:
            self._journal.add(connector)
        if state is not None:
            self.share_state(state)

    @classmethod
    def from_yaml(
        cls, path: str | PathLike[str], *, secrets: Mapping[str, SecretResolver] | None = None
    ) -> CapabilityRouter:
        """Build a router from a YAML file.

        Args:
            path: The YAML file.
            secrets: Functions that fetch secrets, by the scheme of their references; see ``load``.

        Raises:
            ConfigurationError: If anything in the file is wrong; it names each place, what was
                found and what is allowed, and nothing is built.
            ValueError: If a scheme in ``secrets`` is malformed, or is ``env`` or ``file``.
        """
        # Here and not above: pydantic and PyYAML are only needed by those who have a file.
        from capability_router.config import load  # noqa: PLC0415 - said above

        blueprint = load(path, secrets=secrets or {})
        router = cls(blueprint.tree)
        router._secrets = secrets or {}
        router.configure(blueprint)
        router._found_at(Path(path).absolute())
        return router

    @classmethod
    def shared(cls, path: str | PathLike[str] | None = None) -> CapabilityRouter:
        """Return the router of this process for a YAML file, which is built by the first to ask.

        Two routers of one file would each have to find out anew who is down, and would each
        count on the whole of a quota. It lives as long as somebody holds it.

        Args:
            path: The YAML file; None for the one that the environment variable
                ``CAPABILITY_ROUTER_CONFIG`` names.

        Raises:
            ConfigurationError: As ``from_yaml``.
            ValueError: If there is no path and the variable is not set.
        """
        path = path or os.environ.get(_CONFIGURATION)
        if not path:
            raise ValueError(
                "router is missing: pass one, or the path of its YAML file, or set"
                f" {_CONFIGURATION}"
            )
        return _shared.of(Path(path).absolute(), lambda: cls.from_yaml(path))

    @classmethod
    def from_environment(
        cls,
        *,
        capabilities: Collection[str] = (),
        max_price: float | None = None,
        vendors: Collection[str] = (),
        environ: Mapping[str, str] | None = None,
        catalogue: Catalogue | None = None,
        policy: RotationPolicy | None = None,
        observability: Iterable[ObservabilityConnector] = (),
        clock: WaitingClock | None = None,
    ) -> CapabilityRouter:
        """Build a router with the models of every vendor whose key is in the environment.

        Nobody is asked, so a key that is refused shows only when its first model is called. The
        cheapest models are registered, and so tried, first; those that their vendor has withdrawn
        are left out. ``inventory`` tells what was found and skipped; it is logged as well.

        Args:
            capabilities: Take only models with a leaf at or under one of these nodes; empty for
                all.
            max_price: Take only models of which no price is above so many US dollars, for a
                million tokens or a thousand of what else they are sold by; None for all.
            vendors: Look only at these, as LiteLLM names them; empty for all.
            environ: The environment variables; None for the process's.
            catalogue: The models that are known; None for LiteLLM's.
            policy: Rotation of the pools; None for the defaults.
            observability: Sinks that get every event and decision.
            clock: Source of time; None for the system's.

        Raises:
            ImportError: If no catalogue is given and LiteLLM is not installed.
            UnknownCapabilityError: If the tree has no such node.
            ValueError: If a vendor is not known.
        """
        # Here and not above: whoever has a configuration needs none of it.
        from capability_router.catalogue.catalogue import Catalogue  # noqa: PLC0415 - said above
        from capability_router.catalogue.environment import take_inventory  # noqa: PLC0415 - as above

        router = cls(policy=policy, observability=observability, clock=clock)
        router._inventory, providers, models = take_inventory(
            catalogue or Catalogue.from_litellm(),
            os.environ if environ is None else environ,
            wall=router.clock.wall(),
            tree=router.tree,
            capabilities=capabilities,
            max_price=max_price,
            vendors=vendors,
        )
        router._providers.update((provider.id, provider) for provider in providers)
        for model in models:
            router.register(model)
        return router

    @property
    def inventory(self) -> Inventory | None:
        """What ``from_environment`` found and skipped; None if it did not build this router."""
        return self._inventory

    @property
    def providers(self) -> list[Provider]:
        """The providers that were declared, in the order they were."""
        return list(self._providers.values())

    @property
    def path(self) -> Path | None:
        """The YAML file that was read last, as an absolute path; None if there was none."""
        return self._path

    def __copy__(self) -> CapabilityRouter:
        return self

    def __deepcopy__(self, memo: object) -> CapabilityRouter:
        # What holds a router may be copied; a second opinion on the same providers helps nobody.
        return self

    def __reduce__(self) -> tuple[Callable[[Path], CapabilityRouter], tuple[Path]]:
        if self._path is None:
            raise TypeError(
                "a router that was built by code is not pickled: build it with from_yaml, and its"
                " file is read again elsewhere"
            )
        return CapabilityRouter.shared, (self._path,)

    def _found_at(self, path: Path) -> None:
        self._path = path
        self._read(path)
        _shared.offer(path, self)

    def reload(self, path: str | PathLike[str] | None = None) -> None:
        """Read the configuration again and become what it says now, in one step.

        What stays keeps its state, as ``configure`` tells. Attempts in progress end as they will.

        Args:
            path: The YAML file; None for the one that was read last.

        Raises:
            ConfigurationError: If anything in the file is wrong; nothing has changed then.
            ValueError: If there is no file to read again, or what was added by hand has no place
                in the new configuration; nothing has changed then.
        """
        from capability_router.config import load  # noqa: PLC0415 - as in from_yaml

        path = path or self._path
        if path is None:
            raise ValueError("this router was not made from a file: pass the path of one")
        self.configure(load(path, secrets=self._secrets))
        self._found_at(Path(path).absolute())

    def configure(self, blueprint: Blueprint) -> None:
        """Become what a configuration says; see ``KeepingRouter.configure``."""
        super().configure(blueprint)
        self._credentials.follow(blueprint.keys, blueprint.providers)

    def report(self, lease: Lease, outcome: Outcome) -> bool:
        """End a lease with the outcome of its attempt; see ``Router.report``.

        Where a provider has refused a key that is kept elsewhere, it is read again. If it is
        another one now, the refusal says nothing about any model, and counts for none.
        """
        if self._credentials.excuse(lease, outcome):
            self.release(lease, sent=True)
            return False
        return super().report(lease, without_key(outcome, self.provider(lease.model.provider)))

    def _use_key(self, provider_id: str, key: Secret) -> None:
        with self._guard:
            known = self._providers.get(provider_id)
            if known is not None:
                self._providers[provider_id] = replace(known, api_key=key)

    def start_probing(
        self,
        probe: Callable[[Model], object],
        *,
        interval_s: float = 1.0,
        at_start: bool = True,
    ) -> Prober:
        """Ask models in the background whether they are well, so that no user's request has to.

        Args:
            probe: Calls the model that it is given, and raises if it is not well.
            interval_s: Seconds between two looks at whose trial is due, > 0. Default 1, half of the
                shortest default cooldown: a look costs microseconds where nothing is due.
            at_start: True to probe every model once before the first round.

        Returns:
            The prober, already running: ``stop()`` it, or use it as a context manager.
        """
        from capability_router.probing import Prober  # noqa: PLC0415 - few use it

        return Prober(self, probe, interval_s=interval_s, at_start=at_start).start()

    def __repr__(self) -> str:
        pools = ", ".join(pool.name for pool in self.pools) or "none"
        return f"CapabilityRouter({len(self.models)} models, pools: {pools})"

    def explain(
        self, request: CompletionRequest | str, *, requires: Collection[str] = ()
    ) -> Decision:
        """Return who would be tried first now, and why the others would not; changes nothing.

        Args:
            request: A capability, or a request with requirements.
            requires: Features that the model must have besides, of ``Feature``.

        Returns:
            A decision without attempts; ``served_by`` is who would be asked, None for nobody, and
            ``choices`` hold the candidates.

        Raises:
            UnknownCapabilityError, UnknownPoolError: If the tree or the router has no such.
            ValueError: If a feature does not exist.
        """
        asked = CompletionRequest(request) if isinstance(request, str) else request
        return super().explain(replace(asked, requires=asked.requires | frozenset(requires)))

    def call(self, request: CompletionRequest | str, attempt: Callable[[Model], T]) -> T:
        """Call one model after another until one answers.

        Args:
            request: A capability, or a request with requirements.
            attempt: Calls the model that it is given; may run several times. Of an answer in
                OpenAI's or Anthropic's form the tokens under ``usage`` count, and one that was cut
                short is none; see ``completeness``. What it raises is read by HTTP status: a
                caller's fault is raised again as it is, anything else moves on to the next model.
                One that outlasts the pool's ``attempt_timeout_s`` is given up: the connection that
                it waits on is hung up.

        Returns:
            What ``attempt`` returned.

        Raises:
            AllModelsFailedError: If nothing answered; it carries every attempt.
            NoAvailableModelError: If there was nothing to try.
            Exception: The provider's own error, where the caller is at fault.
        """

        def once(step: Try) -> T:
            answer = attempt(step.model)
            if isinstance(answer, Coroutine):
                answer.close()
                raise TypeError("the attempt is a coroutine function: use acall")
            return answer

        judge: drivers.Judge[T] = AnyAnswer()
        return drivers.call(self.plan(request), once, judge, self.clock)

    async def acall(
        self, request: CompletionRequest | str, attempt: Callable[[Model], Awaitable[T]]
    ) -> T:
        """As ``call``, awaiting each attempt; one that outlasts its time is cancelled."""
        judge: drivers.Judge[T] = AnyAnswer()

        def once(step: Try) -> Awaitable[T]:
            return attempt(step.model)

        return await drivers.acall(self.plan(request), once, judge, self.clock)
