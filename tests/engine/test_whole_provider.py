"""Faults that concern a whole provider, and those that only seem to."""

from contextlib import suppress

import pytest

from capability_router.engine.errors import NoAvailableModelError
from capability_router.engine.outcome import FailureKind, Outcome
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.selection import Priority, RoundRobin, StickUntilFailure
from tests.engine.building import Rig


class RefusedError(Exception):
    """What a provider answers for one of its models, whoever asks."""

    def __init__(self, status: int) -> None:
        super().__init__("no")
        self.status_code = status


@pytest.mark.parametrize("strategy", [Priority, RoundRobin, StickUntilFailure])
@pytest.mark.parametrize("order", [("bad", "x", "y"), ("x", "y", "bad")])
@pytest.mark.parametrize("status", [401, 402, 403])
def test_one_model_that_is_always_refused_does_not_keep_its_siblings_away(
    strategy: type[Priority | RoundRobin], order: tuple[str, ...], status: int
) -> None:
    rig = Rig(*(f"a/{name}" for name in order), policy=RotationPolicy(selection=strategy))
    served = 0
    for _ in range(1200):
        rig.clock.advance(1)
        with suppress(NoAvailableModelError):
            rig.router.call("chat-completion", lambda model: refuse_bad(model.name, status))
            served += 1
    # What a first refusal costs while nothing is known yet: one standby of the whole provider.
    assert served >= 1200 - 380


def refuse_bad(name: str, status: int) -> str:
    if name == "bad":
        raise RefusedError(status)
    return name


def test_bad_key_is_found_out_although_its_models_have_served() -> None:
    rig = Rig("a/x", "a/y", "b/z", policy=RotationPolicy(selection=RoundRobin))
    for _ in range(6):
        rig.router.report(rig.select(), Outcome.success())
        rig.clock.advance(1)
    while "a/y" not in rig.standby():
        lease = rig.select()
        failed = Outcome.failed(FailureKind.AUTH, status=401)
        rig.router.report(lease, failed if lease.model.provider == "a" else Outcome.success())
    assert rig.standby() == ["a/x", "a/y"]
