"""One table of scenarios, run through each of the four drivers."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from capability_router.engine.errors import AllModelsFailedError, NoAvailableModelError
from capability_router.engine.model import Model
from capability_router.engine.request import CompletionRequest
from capability_router.engine.retry import RetryPolicy
from capability_router.engine.rotation import RotationPolicy
from tests.engine.building import (
    DRIVERS,
    Driver,
    ProviderError,
    Request,
    Rig,
    Script,
    Scripted,
    model,
    overloaded,
)

TWO = ("a/x", "b/y")


def untouched(_: Rig) -> None:
    """Leave the rig as it was built."""


def with_probe_due(rig: Rig) -> None:
    rig.fail_out("a/x")
    rig.clock.advance(10)


@dataclass(frozen=True)
class Scenario:
    """What is there, what each attempt does, and what must come of it."""

    name: str
    script: tuple[Scripted, ...]
    tried: list[str]
    answer: str | type[Exception]
    models: tuple[Model | str, ...] = TWO
    request: Request = "chat-completion"
    before: Callable[[Rig], None] = untouched
    marks: dict[str, tuple[int, bool]] = field(default_factory=dict[str, tuple[int, bool]])
    waits: int = 0
    policy: RotationPolicy | None = None


SCENARIOS = [
    Scenario("the first model answers", ("hello",), ["a/x"], "hello"),
    Scenario(
        "the first model is down: one wasted call, and the first request succeeds",
        (overloaded(), "hello"),
        ["a/x", "b/y"],
        "hello",
        marks={"a/x": (1, False)},
    ),
    Scenario(
        "a throttled model leaves for as long as it asked",
        (ProviderError(429, headers={"retry-after": "9"}), "hello"),
        ["a/x", "b/y"],
        "hello",
        marks={"a/x": (0, True)},
    ),
    Scenario(
        "a rejected key takes the whole provider out, and another provider answers",
        (ProviderError(401), "hello"),
        ["a/x", "b/y"],
        "hello",
        models=("a/x", "a/z", "b/y"),
        marks={"a/x": (0, True), "a/z": (0, True)},
    ),
    Scenario(
        "a vanished model leaves alone",
        (ProviderError(404), "hello"),
        ["a/x", "a/z"],
        "hello",
        models=("a/x", "a/z"),
        marks={"a/x": (0, True)},
    ),
    Scenario("a refused request costs one call", (ProviderError(400),), ["a/x"], ProviderError),
    Scenario("a bug in the caller's code costs one call", (TypeError("bug"),), ["a/x"], TypeError),
    Scenario(
        "too long a prompt goes only to a larger window",
        (ProviderError(400, "context_length_exceeded"), "hello"),
        ["a/8k", "c/32k"],
        "hello",
        models=(
            model("a/8k", window=8000),
            model("b/4k", window=4000),
            model("c/32k", window=32_000),
        ),
    ),
    Scenario(
        "too long a prompt for everybody is the provider's own error",
        (ProviderError(400, "context_length_exceeded"),),
        ["a/8k"],
        ProviderError,
        models=(model("a/8k", window=8000), model("b/4k", window=4000)),
    ),
    Scenario(
        "the only model is repeated once",
        (ConnectionResetError(), "hello"),
        ["a/x", "a/x"],
        "hello",
        models=("a/x",),
        waits=1,
    ),
    Scenario(
        "the only model fails twice",
        (overloaded(), overloaded()),
        ["a/x", "a/x"],
        AllModelsFailedError,
        models=("a/x",),
        marks={"a/x": (2, False)},
        waits=1,
    ),
    Scenario(
        "a timeout of the only model is not repeated",
        (TimeoutError(),),
        ["a/x"],
        AllModelsFailedError,
        models=("a/x",),
        marks={"a/x": (1, False)},
    ),
    Scenario(
        "everybody fails",
        (overloaded(), TimeoutError()),
        ["a/x", "b/y"],
        AllModelsFailedError,
        marks={"a/x": (1, False), "b/y": (1, False)},
    ),
    Scenario(
        "attempts have a limit",
        (overloaded(),),
        ["a/x"],
        AllModelsFailedError,
        policy=RotationPolicy(retry=RetryPolicy(max_attempts=1)),
        marks={"a/x": (1, False)},
    ),
    Scenario(
        "a deadline that has passed lets nothing start",
        (),
        [],
        AllModelsFailedError,
        request=CompletionRequest("chat-completion", deadline_s=0.0),
    ),
    Scenario("nobody is there", (), [], NoAvailableModelError, models=()),
    Scenario(
        "a revived model serves again without help",
        ("hello",),
        ["a/x"],
        "hello",
        before=with_probe_due,
    ),
    Scenario(
        "a failed probe costs its user one more call",
        (overloaded(), "hello"),
        ["a/x", "b/y"],
        "hello",
        before=with_probe_due,
        marks={"a/x": (4, True)},
    ),
    Scenario(
        "a feature that only one model has decides",
        ("hello",),
        ["b/y"],
        "hello",
        models=(model("a/x", features=["streaming"]), model("b/y", features=["vision"])),
        request=CompletionRequest("chat-completion", frozenset({"vision"})),
    ),
]


@pytest.mark.parametrize("drive", DRIVERS)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_driver_plays_the_scenario_to_the_same_end(scenario: Scenario, drive: Driver) -> None:
    rig, script = Rig(*scenario.models, policy=scenario.policy), Script(*scenario.script)
    scenario.before(rig)
    if isinstance(scenario.answer, str):
        assert drive(rig, script, scenario.request) == scenario.answer
    else:
        with pytest.raises(scenario.answer) as caught:
            drive(rig, script, scenario.request)
        own = scenario.script[-1] if scenario.script else None
        is_own = issubclass(scenario.answer, ProviderError | TypeError)
        assert (caught.value if is_own else caught.value.__cause__) is own
    assert script.tried == scenario.tried
    healthy = dict.fromkeys((each.id for each in rig.router.models), (0, False))
    assert rig.health() == healthy | scenario.marks
    assert len(rig.clock.slept) == scenario.waits
    assert all(rig.router.state(each.id).in_flight == 0 for each in rig.router.models)
    (decision,) = rig.router.decisions
    assert [attempt.model for attempt in decision.attempts] == scenario.tried
    served = scenario.tried[-1] if isinstance(scenario.answer, str) else None
    assert decision.served_by == served


@pytest.mark.parametrize("drive", DRIVERS)
def test_revived_model_needs_no_help_and_no_restart(drive: Driver) -> None:
    rig = Rig("a/x")
    for _ in range(3):
        with pytest.raises(AllModelsFailedError):
            drive(rig, Script(overloaded(), overloaded()), "chat-completion")
    assert rig.standby() == ["a/x"]
    rig.clock.advance(12)
    assert drive(rig, Script("hello"), "chat-completion") == "hello"
    assert rig.active() == ["a/x"]


@pytest.mark.parametrize("drive", DRIVERS)
def test_broken_model_costs_nothing_once_it_is_known_to_be_broken(drive: Driver) -> None:
    rig = Rig("a/x", "b/y")
    script = Script(overloaded(), "1", "2", "3")
    answers = [drive(rig, script, "chat-completion") for _ in range(3)]
    assert (answers, script.tried) == (["1", "2", "3"], ["a/x", "b/y", "b/y", "b/y"])


@pytest.mark.parametrize("drive", DRIVERS)
@pytest.mark.parametrize("leaving", [KeyboardInterrupt, SystemExit])
def test_caller_that_leaves_takes_nobodys_health_along(
    drive: Driver, leaving: type[BaseException]
) -> None:
    rig = Rig("a/x", "b/y")
    rig.fail_out("a/x")
    rig.clock.advance(10)
    with pytest.raises(leaving):
        drive(rig, Script(leaving()), "chat-completion")
    assert rig.router.state("a/x").in_flight == 0
    assert rig.standby() == ["a/x"]
    assert rig.select().probe
    (decision,) = rig.router.decisions
    assert (decision.served_by, str(decision.attempts[-1].kind)) == (None, "cancelled")
