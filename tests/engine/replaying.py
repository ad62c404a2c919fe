"""A long and varied run of a router, told as text: what a replay has to repeat to the letter."""

from contextlib import suppress
from random import Random

from capability_router.engine.errors import CapabilityRouterError
from capability_router.engine.model import Model
from capability_router.engine.outcome import FailureKind
from tests.engine.building import CHAT, CODE, TEXT, ProviderError, Rig, model

STATUSES = (400, 401, 404, 408, 429, 500, 503, 529)


def told_by(seed: int, calls: int = 150) -> list[str]:
    """Return every event and decision of one run, in order."""
    rig, dice = Rig(seed=seed), Random(11)

    def unsteady(asked: Model) -> str:
        if dice.random() < 0.6:
            raise ProviderError(dice.choice(STATUSES), asked.id)
        return asked.id

    for name, node in (("gen", "generation"), ("text", TEXT), ("chat", CHAT), ("code", CODE)):
        rig.router.add_pool(name, node)
    for provider in "abc":
        rig.router.register(model(f"{provider}/x", CHAT, CODE, "text-to-image", "ocr"))
        rig.router.register(model(f"{provider}/y", "ocr", "text-completion", CHAT))
    for number in range(calls):
        capability = (CHAT, CODE, TEXT, "generation", "ocr")[number % 5]
        with suppress(CapabilityRouterError, ProviderError):
            rig.router.call(capability, unsteady)
        rig.clock.advance(dice.choice((0.1, 3.0, 700.0)))
    return [*map(repr, rig.events), *(str(d.as_dict()) for d in rig.router.decisions)]


def kinds_in(told: list[str]) -> set[FailureKind]:
    """Return the kinds of failure that a run has met."""
    return {kind for kind in FailureKind if any(f"'{kind}'" in line for line in told)}
