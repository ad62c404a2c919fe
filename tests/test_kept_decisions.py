"""A router keeps its last decisions; what the attempts had in hand is none of their business."""

import gc
from collections.abc import Callable
from contextlib import suppress
from weakref import ref

import pytest

from capability_router import CapabilityRouter, FailureKind, Model, NoAvailableModelError
from tests.engine.building import ProviderError


class Prompt:
    """What a caller asks, of any size."""


def failing_router() -> CapabilityRouter:
    router = CapabilityRouter(seed=1)
    for name in ("a/x", "b/x"):
        router.register(Model(name, ("chat-completion",)))
    return router


def test_nothing_that_a_failed_attempt_had_in_hand_is_kept() -> None:
    router, prompts = failing_router(), list[Callable[[], Prompt | None]]()

    def attempt(_: Model) -> str:
        prompt = Prompt()
        prompts.append(ref(prompt))
        raise ProviderError(503)

    with suppress(NoAvailableModelError):
        router.call("chat-completion", attempt)
    gc.collect()
    assert [prompt() for prompt in prompts] == [None, None]
    (decision,) = router.decisions
    assert [attempt.kind for attempt in decision.attempts] == [FailureKind.OVERLOADED] * 2
    assert [attempt.status for attempt in decision.attempts] == [503, 503]


def test_the_error_itself_still_has_every_exception() -> None:
    router = failing_router()

    def attempt(_: Model) -> str:
        raise ProviderError(503)

    with pytest.raises(NoAvailableModelError) as caught:
        router.call("chat-completion", attempt)
    kept = [attempt.error for attempt in caught.value.attempts]
    assert [type(error) for error in kept] == [ProviderError] * 2
