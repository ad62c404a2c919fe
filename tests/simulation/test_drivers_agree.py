"""The real drivers and the simulator, given the same providers: the same attempts, to the moment.

Providers are scripts here, so that whatever may follow one another does; ``test_reality`` asks
providers over HTTP.
"""

from collections.abc import Generator
from contextlib import suppress
from dataclasses import replace
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from capability_router.driving import drivers
from capability_router.engine.deactivation import ErrorThreshold
from capability_router.engine.decision import Decision
from capability_router.engine.model import Model
from capability_router.engine.outcome import Failure, FailureKind, Usage
from capability_router.engine.recovery import Cooldown
from capability_router.engine.request import CompletionRequest
from capability_router.engine.retry import Backoff, Interruption, RepeatScope, RetryPolicy
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.steps import Try
from capability_router.registry import strategy
from capability_router.simulation.agenda import STARTS_AT
from capability_router.simulation.outages import Outage
from capability_router.simulation.providers import Answer
from capability_router.simulation.scene import Scene
from capability_router.simulation.workload import Arrival
from tests.engine.building import Chunk, ProviderError, Rig, TextSplice, TextWatch
from tests.simulation.worlds import CHAT, model

REQUESTS, EVERY_S = 8, 64.0
FIRST_S, WHOLE_S, ERROR_S = 0.5, 1.5, 0.25

SERVED = Answer(FIRST_S, WHOLE_S, None, 4)
CUT = Answer(FIRST_S, WHOLE_S, Failure(FailureKind.CONNECTION), 2)
DOWN = Answer(ERROR_S, ERROR_S, Failure(FailureKind.SERVER_ERROR, 500), 0)
BUSY = Answer(ERROR_S, ERROR_S, Failure(FailureKind.RATE_LIMITED, 429, 2.0), 0)
REFUSED = Answer(ERROR_S, ERROR_S, Failure(FailureKind.INVALID_REQUEST, 400), 0)

OUTCOMES = st.sampled_from([SERVED, SERVED, SERVED, CUT, DOWN, BUSY, REFUSED])


class Script:
    """What every model does with every request, each time it is asked.

    Args:
        outcomes: What happens, by turns.
    """

    def __init__(self, outcomes: list[Answer], *, streamed: bool) -> None:
        self._outcomes = outcomes
        self._streamed = streamed
        self.models = ("a/x", "b/y", "c/z")

    def at(self, number: int, model_id: str, again: int) -> Answer:
        place = 7 * number + 3 * self.models.index(model_id) + 5 * again
        outcome = self._outcomes[place % len(self._outcomes)]
        return SERVED if outcome is CUT and not self._streamed else outcome

    # As the truth of a simulation.

    def answer(self, model: Model, arrival: Arrival, again: int, now: float) -> Answer:
        return self.at(arrival.number, model.id, again)

    def possible(self, model: Model, arrival: Arrival) -> Answer:
        return self.at(arrival.number, model.id, 0)

    def outages(self, model_id: str) -> list[Outage]:
        return []


class Played:
    """A script as providers that a driver can ask."""

    def __init__(self, script: Script, rig: Rig) -> None:
        self._script = script
        self._rig = rig
        self._tried: dict[tuple[int, str], int] = {}
        self.number = 0

    def _next(self, model_id: str) -> Answer:
        key = self.number, model_id
        again = self._tried[key] = self._tried.get(key, -1) + 1
        return self._script.at(self.number, model_id, again)

    def answer(self, asked: Model) -> str:
        answer = self._next(asked.id)
        self._rig.clock.advance(answer.whole_s)
        if answer.failure is not None:
            raise error_of(answer.failure)
        return "an answer"

    def stream(self, step: Try) -> Generator[Chunk, None, None]:
        answer = self._next(step.model.id)
        self._rig.clock.advance(answer.first_s)
        if not answer.written and answer.failure:
            raise error_of(answer.failure)
        # Never what the caller has already, which would be taken for a repetition.
        yield Chunk(f"{step.model.id} says this at {self._rig.clock.now()} s. ")
        self._rig.clock.advance(answer.whole_s - answer.first_s)
        if answer.failure:
            raise error_of(answer.failure)
        yield Chunk(finish="stop")


def error_of(failure: Failure) -> Exception:
    if failure.status is None:
        return ConnectionResetError("gone")
    stated = failure.retry_after_s
    headers = {} if stated is None else {"retry-after": f"{stated:g}"}
    return ProviderError(failure.status, headers=headers)


def really(script: Script, rig: Rig, *, streamed: bool) -> list[Decision]:
    played = Played(script, rig)
    for number in range(REQUESTS):
        rig.clock.advance(number * EVERY_S - rig.clock.now())
        played.number = number
        request = CompletionRequest(CHAT)
        with suppress(Exception):
            if streamed:
                plan = rig.router.plan(request)
                list(drivers.stream(plan, played.stream, TextWatch, rig.clock, TextSplice()))
            else:
                rig.router.call(request, played.answer)
    return rig.router.decisions


def simulated(script: Script, rig: Rig, *, streamed: bool) -> list[Decision]:
    request = CompletionRequest(CHAT)
    arrivals = [
        Arrival(number, number * EVERY_S, request, 0, 4, streamed) for number in range(REQUESTS)
    ]
    seen: list[Decision] = []
    scene = Scene(rig.router, arrivals, lambda: script, 7, STARTS_AT)
    scene.play(rig.router, lambda _, decision: seen.append(decision.without_errors()))
    return seen


def told(decision: Decision) -> Decision:
    """Return a decision without the tokens, which scripts do not tell."""
    attempts = [replace(each, usage=Usage(), cost_usd=None) for each in decision.attempts]
    return replace(decision, attempts=tuple(attempts))


POLICIES = st.builds(
    RotationPolicy,
    selection=st.sampled_from(["priority", "round-robin", "load-balanced"]).map(strategy),
    deactivation=st.builds(ErrorThreshold, consecutive=st.sampled_from([1, 3])),
    recovery=st.sampled_from([Cooldown(), Cooldown(initial_s=100.0, max_s=200.0)]),
    retry=st.builds(
        RetryPolicy,
        max_attempts=st.sampled_from([2, 6]),
        scope=st.sampled_from(RepeatScope),
        backoff=st.sampled_from(Backoff),
        max_wait_s=st.sampled_from([0.0, 3.0]),
        on_interruption=st.sampled_from(
            [(), *(way for length in (1, 2) for way in permutations(Interruption, length))]
        ),
    ),
)


@settings(max_examples=70)
@given(POLICIES, st.lists(OUTCOMES, min_size=11, max_size=11), st.booleans())
def test_same_attempts_are_made_at_the_same_moments(
    policy: RotationPolicy, outcomes: list[Answer], streamed: bool
) -> None:
    script = Script(outcomes, streamed=streamed)
    rig = Rig(*map(model, script.models))
    rig.router.add_pool(CHAT, CHAT, policy)
    expected = simulated(script, rig, streamed=streamed)
    assert list(map(told, expected)) == list(map(told, really(script, rig, streamed=streamed)))
