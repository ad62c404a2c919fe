"""A bench whose models take only so many attempts at once."""

from dataclasses import replace

from capability_router.engine.concurrency import AdaptiveConcurrency, Concurrency
from capability_router.engine.lease import Lease
from capability_router.engine.request import CompletionRequest
from tests.engine.bench import Bench

LIMITS: tuple[Concurrency | None, ...] = (
    1,
    2,
    None,
    AdaptiveConcurrency(2, 1, 4),
    AdaptiveConcurrency(1, 1, 3),
)


class CrowdedBench(Bench):
    """Knows who is full, and that nobody is ever fuller than that."""

    def register(self, number: int, place: int, second: int) -> None:
        super().register(number, place, second)
        self.limit(len(self.router.models) - 1, number)

    def limit(self, number: int, which: int) -> None:
        """Give a model another limit."""
        model = self.router.model(self._model(number))
        changed = replace(model, concurrency=LIMITS[which % len(LIMITS)])
        self.router._topology.replace(changed)

    def check(self) -> None:
        super().check()
        for pool in self.pools.values():
            serving = {
                model_id
                for model_id, member in pool._roster.members.items()
                if member.standby is None and not member.state.is_full
            }
            # Who has room is there at once, and who is full is in nobody's way.
            assert pool._lanes._active.keys() == serving

    def _eligible(self, request: CompletionRequest, tried: set[str]) -> set[str]:
        able = super()._eligible(request, tried)
        return {each for each in able if not self.router.state(each).is_full}

    def _open(self, lease: Lease, able: dict[str, set[str]]) -> None:
        # Whom a request prefers it may have passed over for being throttled.
        super()._open(lease, {} if self.policy.throttling else able)
        slots = lease.state.slots
        assert slots is None or lease.state.in_flight <= slots.limit
