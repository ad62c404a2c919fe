import logging

import pytest

from capability_router import CapabilityRouter, Logging, Model
from capability_router.engine.outcome import Failure, FailureKind
from capability_router.testing.clock import ManualClock


@pytest.fixture
def router() -> CapabilityRouter:
    router = CapabilityRouter(clock=ManualClock(), observability=[Logging()])
    router.register(Model("a/x", ("chat-completion",)))
    return router


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(record.levelno, record.getMessage()) for record in caplog.records]


def test_model_that_leaves_is_a_warning_and_its_return_is_not(
    router: CapabilityRouter, caplog: pytest.LogCaptureFixture
) -> None:
    router.pool("chat-completion")
    with caplog.at_level(logging.DEBUG, "capability_router"):
        router.deactivate("a/x", "manual")
        router.recover("a/x")
    levels = [level for level, words in told(caplog) if "a/x" in words]
    assert levels == [logging.WARNING, logging.INFO]
    assert "model_deactivated (manual)" in told(caplog)[0][1]


def test_call_is_quiet_if_it_went_well_and_loud_if_nobody_served(
    router: CapabilityRouter, caplog: pytest.LogCaptureFixture
) -> None:
    router.pool("chat-completion")
    with caplog.at_level(logging.DEBUG, "capability_router"):
        router.call("chat-completion", lambda model: model.name)
        call = router.plan("chat-completion")
        call.next()
        call.failed(Failure(FailureKind.AUTH, 401))
        call.next()
    calls = [each for each in told(caplog) if "->" in each[1]]
    assert [level for level, _ in calls] == [logging.DEBUG, logging.WARNING]
    assert "chat-completion -> nobody" in calls[1][1]


def test_event_itself_goes_with_the_message(
    router: CapabilityRouter, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "capability_router"):
        router.call("chat-completion", lambda model: model.name)
    assert caplog.records[-1].__dict__["record"] == router.decisions[-1]
