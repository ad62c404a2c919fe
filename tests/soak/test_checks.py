"""Each check of a soak finds what it is there for."""

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from capability_router import (
    CapabilityRouter,
    CompletionRequest,
    EventEmitter,
    FailureKind,
    Model,
    NoAvailableModelError,
    Outcome,
    StreamInterruptedError,
)
from capability_router.engine.outcome import Attempt
from capability_router.lab import FaultKind
from tests.engine.building import ProviderError
from tests.soak.books import Decisions, Events
from tests.soak.leftovers import sockets, tasks_left, threads
from tests.soak.lost_errors import LostErrors
from tests.soak.memory import MOST, OBJECTS, OURS, Memory, Sample, grown
from tests.soak.questions import Heard, Question
from tests.soak.routing import MAX_ATTEMPTS
from tests.soak.verdicts import faults_of_answer, faults_of_error
from tests.soak.weather import STORMS, changed

ASKED = Question(1, "number 1: so much depends", "plain")
WHOLE = "beta echoes: number 1: so much depends"
CHAT = "chat-completion"
CHAT_REQUEST = CompletionRequest(CHAT)


def heard(text: str, finish: str | None = "stop") -> Heard:
    told = Heard(ASKED)
    told.take(text, finish)
    return told


@pytest.mark.parametrize("text", [WHOLE, WHOLE + "  \n"])
def test_whole_answer_is_no_fault(text: str) -> None:
    assert list(faults_of_answer(heard(text))) == []


@pytest.mark.parametrize(
    ("text", "finish"),
    [
        (WHOLE[:-1], "stop"),
        (WHOLE, None),
        (WHOLE, "length"),
        (WHOLE + WHOLE, "stop"),
        ("", "stop"),
        (WHOLE.replace("1", "2"), "stop"),
        ("nobody echoes: number 1: so much depends", "stop"),
        ("beta echoes: so", "content_filter"),
    ],
)
def test_answer_that_is_cut_doubled_or_anothers_is_found(text: str, finish: str | None) -> None:
    assert len(list(faults_of_answer(heard(text, finish)))) == 1


def test_what_a_content_filter_has_left_is_no_fault() -> None:
    assert list(faults_of_answer(heard("beta echoes: number", "content_filter"))) == []


def test_answer_that_began_anew_counts_from_there() -> None:
    told = heard("alpha echoes:", None)
    told.take(WHOLE, "stop", restarted=True)
    assert list(faults_of_answer(told)) == []
    assert told.restarts == 1


def failed(kind: FailureKind | None = FailureKind.TIMEOUT) -> Attempt:
    return Attempt("alpha/m", "alpha", kind)


@pytest.mark.parametrize(
    "error",
    [
        KeyError("choices"),
        ProviderError(503),
        NoAvailableModelError(CHAT, attempts=[failed()] * (MAX_ATTEMPTS + 1)),
        NoAvailableModelError(CHAT, attempts=[failed(None)]),
        StreamInterruptedError("never said", [failed()]),
    ],
    ids=str,
)
def test_error_that_must_not_be_is_found(error: Exception) -> None:
    assert len(list(faults_of_error(heard("beta", None), error, Exception))) == 1


def test_error_of_another_host_is_found() -> None:
    error = NoAvailableModelError(CHAT)
    assert len(list(faults_of_error(heard(""), error, OSError))) == 1


@pytest.mark.parametrize(
    "error",
    [
        ProviderError(400),
        NoAvailableModelError(CHAT, attempts=[failed()]),
        StreamInterruptedError("beta echoes", [failed()]),
    ],
    ids=str,
)
def test_documented_error_is_no_fault(error: Exception) -> None:
    assert list(faults_of_error(heard("beta echoes:", None), error, Exception)) == []


def small_router(emitter: EventEmitter | None = None) -> CapabilityRouter:
    router = CapabilityRouter(seed=1, emitter=emitter)
    for name in ("alpha", "beta"):
        router.register(Model(f"{name}/m", (CHAT,)))
    router.add_pool("plain", CHAT)
    return router


def fails_at_alpha(model: Model) -> str:
    if model.provider == "alpha":
        raise ProviderError(503)
    return model.id


def test_books_agree_where_nothing_is_wrong() -> None:
    events = Events(emitter := EventEmitter())
    router = small_router(emitter)
    decisions = Decisions(router)
    for _ in range(20):
        router.call(CHAT, fails_at_alpha)
        decisions.follow()
    events.compare(router)
    assert (decisions.calls, events.faults) == (20, [])
    assert events.count > 0
    assert list(decisions.faults()) == []
    told = {"alpha": {"requests": 3, "redirects": 2}, "beta": {"requests": 20, "redirects": 0}}
    assert decisions.attempts["alpha/m", FailureKind.OVERLOADED] == 1
    assert list(decisions.faults_to(told)) == []


@pytest.mark.parametrize(
    "disturb",
    [
        lambda router: router.report(router.select(CHAT_REQUEST), Outcome.success()),
        lambda router: router.report(
            router.select(CHAT_REQUEST), Outcome.failed(FailureKind.TIMEOUT)
        ),
    ],
    ids=["an answer too many", "a failure too many"],
)
def test_counter_that_no_attempt_explains_is_found(
    disturb: Callable[[CapabilityRouter], object],
) -> None:
    router = small_router()
    decisions = Decisions(router)
    router.call(CHAT, fails_at_alpha)
    disturb(router)
    decisions.follow()
    assert len(list(decisions.faults())) == 1


def test_decision_that_was_not_seen_is_found() -> None:
    router = small_router()
    decisions = Decisions(router)
    for _ in range(2):
        for _ in range(1001):
            router.call(CHAT, lambda model: model.id)
        decisions.follow()
    assert next(decisions.faults()).startswith("some decisions were not seen")


@pytest.mark.parametrize("requests", [0, 2])
def test_request_that_is_missing_or_repeated_is_found(requests: int) -> None:
    router = small_router()
    decisions = Decisions(router)
    router.call(CHAT, lambda model: model.id)
    decisions.follow()
    (served,) = (name for name, _ in decisions.attempts)
    told = {served.partition("/")[0]: {"requests": requests, "redirects": 0}}
    assert len(list(decisions.faults_to(told))) == 1


def test_change_that_no_event_tells_of_is_found() -> None:
    events = Events(emitter := EventEmitter())
    router = small_router(emitter)
    emitter.unsubscribe(events._take)
    router.deactivate("alpha/m")
    events.compare(router)
    assert len(events.faults) == 1


def test_event_that_cannot_be_is_found() -> None:
    events = Events(emitter := EventEmitter())
    router = small_router(emitter)
    seen: list[Any] = []
    emitter.subscribe(seen.append)
    router.deactivate("alpha/m")
    emitter.emit(seen[0])
    events.compare(router)
    assert len(events.faults) == 1


def series(per_request: float, noise: float) -> list[Sample]:
    chance = Random(1)
    return [
        Sample(n, 1000.0 + per_request * n + chance.uniform(-noise, noise))
        for n in range(0, 10_000, 50)
    ]


def test_line_through_samples_has_their_slope() -> None:
    growth = grown(series(0.25, noise=100.0))
    assert growth is not None
    assert growth.low < 0.25 < growth.high
    assert growth.high - growth.low < 0.05


def test_few_samples_tell_nothing() -> None:
    assert grown(series(0.25, noise=100.0)[:11]) is None


@pytest.mark.parametrize(("per_request", "faults"), [(0.0, 0), (0.04, 0), (0.2, 1)])
def test_growth_is_found_and_noise_is_not(per_request: float, faults: int) -> None:
    memory = Memory()
    memory.samples[OBJECTS] = series(per_request, noise=200.0)
    assert per_request < MOST[OBJECTS] or faults
    assert len(list(memory.faults())) == faults


def test_objects_of_this_project_are_counted_without_those_that_are_kept() -> None:
    memory = Memory()
    memory.look(0, kept=0)
    models = [Model(f"alpha/{n}", (CHAT,)) for n in range(100)]
    memory.look(1, kept=0)
    memory.look(2, kept=len(models))
    before, more, excused = (sample.value for sample in memory.samples[OURS])
    assert (more - before, excused - before) == (100, 0)


async def test_task_that_stays_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.soak.leftovers._SETTLES_S", 0.01)
    stays = asyncio.create_task(asyncio.Event().wait())
    (found,) = await tasks_left()
    assert stays.get_name() in found
    stays.cancel()


def test_thread_and_socket_that_stay_are_found() -> None:
    before, over = (threads(), sockets()), threading.Event()
    thread = threading.Thread(target=over.wait, name="stays")
    thread.start()
    with socket.socket():
        assert "stays" in threads()
        assert sockets() == before[1] + (before[1] > 0 or sockets() > 0)
    over.set()
    thread.join()
    assert (threads(), sockets()) == before


def test_error_that_nobody_gets_is_found() -> None:
    with LostErrors() as lost:
        thread = threading.Thread(target=lambda: next(iter(())), name="failing")
        thread.start()
        thread.join()
        logging.getLogger("asyncio").error("Task exception was never retrieved")
        logging.getLogger("asyncio").error("Task <LoggingWorker> was destroyed")
    assert len(lost.faults) == 2
    assert "StopIteration" in lost.faults[0]


def test_weather_has_every_fault_of_the_lab() -> None:
    chance = Random(1)
    assert {storm(chance).kind for storm in STORMS} == set(FaultKind)
    assert {changed(chance, goes_on=False).kind for _ in range(5000)} == set(FaultKind)
    others = {changed(chance, goes_on=True).kind for _ in range(5000)}
    assert others == set(FaultKind) - {FaultKind.EMPTY_ANSWER}
