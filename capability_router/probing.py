"""Ask models in the background whether they are well, so that no user's request has to.

Without it a standby model is tried with a user's request, which pays for a second attempt if the
model is still down. The probe is the application's: what is cheap and telling differs by provider.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread, local
from types import TracebackType

from capability_router.engine.model import Model
from capability_router.engine.outcome import Outcome
from capability_router.engine.request import CompletionRequest
from capability_router.engine.router import Router
from capability_router.failures import failure_of

__all__ = ["Prober"]

_AT_ONCE = 8


class Prober:
    """Probes the models of a router; ``CapabilityRouter.start_probing`` makes one and starts it.

    A probe is an attempt like any other: it takes a lease, draws on limits, and its outcome
    counts. A model on standby is probed when its trial is due, and serves again if that succeeds.

    Args:
        router: Whose models are probed.
        probe: Calls the model that it is given, and raises if it is not well; it is read as in
            ``CapabilityRouter.call``. Give your client a timeout. Up to eight run at once, in
            threads.
        interval_s: Seconds between two looks at whose trial is due, > 0. A model is asked only
            then: how often that is says the pool's recovery policy.
        at_start: True to probe every model once before the first round.

    Raises:
        ValueError: If ``interval_s`` is not positive.
    """

    def __init__(
        self,
        router: Router,
        probe: Callable[[Model], object],
        *,
        interval_s: float = 1.0,
        at_start: bool = True,
    ) -> None:
        if not callable(probe):
            raise TypeError(f"probe {probe!r} must be callable")
        if interval_s <= 0:
            raise ValueError(f"interval_s {interval_s} must be above 0")
        self._router = router
        self._probe = probe
        self._interval_s = interval_s
        self._at_start = at_start
        self._stopped = Event()
        self._own = local()
        self._thread = Thread(target=self._run, name="capability-router-prober", daemon=True)

    def probe_all(self) -> int:
        """Probe every model that is active, or due; return how many were probed."""
        return self._each([(CompletionRequest(m.capabilities[0]), m) for m in self._router.models])

    def probe_due(self) -> int:
        """Probe the standby models whose trial is due; return how many were probed."""
        return self._each(self._router.due_trials())

    def start(self) -> Prober:
        """Begin to probe in a thread of its own; users' requests are trials no more."""
        self._router.probing = True
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop; a probe in progress is waited for, and users' requests are trials again."""
        self._router.probing = False
        self._stopped.set()
        # A probe may stop its own prober, and cannot wait for itself.
        if self._thread.is_alive() and not getattr(self._own, "probing", False):
            self._thread.join()

    def __enter__(self) -> Prober:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self) -> None:
        if self._at_start:
            self.probe_all()
        while not self._stopped.wait(self._interval_s):
            self.probe_due()

    def _each(self, asked: list[tuple[CompletionRequest, Model]]) -> int:
        if not asked:
            return 0
        with ThreadPoolExecutor(min(_AT_ONCE, len(asked))) as threads:
            return sum(threads.map(self._one, asked))

    def _one(self, asked: tuple[CompletionRequest, Model]) -> bool:
        request, model = asked
        if self._stopped.is_set():
            return False
        lease = self._router.select_model(model.id, request)
        if lease is None:
            return False
        self._own.probing = True
        try:
            self._probe(lease.model)
        except BaseException as error:  # noqa: BLE001 - foreign code; what it raises is its answer
            self._router.report(lease, Outcome(failure_of(error)))
        else:
            self._router.report(lease, Outcome.success())
        finally:
            self._own.probing = False
        return True
