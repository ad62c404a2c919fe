"""A provider's key is rotated while requests run: nobody is sent away for the old one."""

from pathlib import Path

import pytest

from capability_router import CapabilityRouter, Model
from capability_router.config import load
from capability_router.engine.errors import AllModelsFailedError
from capability_router.engine.outcome import FailureKind, Outcome
from capability_router.engine.request import CompletionRequest
from capability_router.testing.clock import ManualClock

CHAT = CompletionRequest("chat-completion")
TWO = """
providers: {a: {api_key: "${file:key}"}, b: }
models:
  a/one: {capabilities: [chat-completion]}
  a/two: {capabilities: [chat-completion]}
  b/other: {capabilities: [chat-completion]}
pools: {chat: {hierarchy_node: chat-completion, strategy: priority}}
"""


class RefusedError(Exception):
    """What a client library raises for a key that does not hold."""

    status_code = 401
    response = None


class Rig:
    """A router whose provider ``a`` takes one key only, which stands in a file."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.file, self.valid = ManualClock(), folder / "key", "first"
        self.rotate("first")
        (folder / "router.yaml").write_text(TWO)
        self.router = CapabilityRouter(clock=self.clock)
        self.router.configure(load(folder / "router.yaml"))

    def rotate(self, key: str) -> None:
        self.valid = key
        self.file.write_text(f"{key}\n")

    def attempt(self, model: Model) -> str:
        self.clock.advance(0.1)
        key = self.router.provider(model.provider).api_key
        if key is not None and key.reveal() != self.valid:
            raise RefusedError("Incorrect API key provided")
        return model.id

    def served(self) -> str:
        return self.router.call(CHAT, self.attempt)

    def standby(self) -> list[str]:
        return [model.id for model in self.router.pool("chat-completion").get_standby_models()]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_request_that_meets_a_rotated_key_goes_on_and_the_next_uses_the_new_one(rig: Rig) -> None:
    assert rig.served() == "a/one"
    rig.rotate("second")
    rig.served()
    assert rig.standby() == []
    assert rig.served() == "a/one"
    first = rig.router.decisions[1].attempts[0]
    assert (first.model, first.kind) == ("a/one", FailureKind.AUTH)


def test_key_that_is_simply_wrong_sends_the_provider_away_as_ever(rig: Rig) -> None:
    rig.valid = "another"
    assert rig.served() == "b/other"
    assert rig.standby() == ["a/one", "a/two"]


def test_failure_of_the_old_key_counts_for_no_model(rig: Rig) -> None:
    rig.rotate("second")
    rig.served()
    state = rig.router.state("a/one")
    assert (state.failures, state.in_flight) == (0, 0)


def test_key_that_arrives_after_its_models_have_left_brings_them_back(rig: Rig) -> None:
    rig.valid = "second"
    assert rig.served() == "b/other"
    rig.file.write_text("second")
    for _ in range(4):
        rig.clock.advance(60)
        rig.served()
    assert rig.standby() == []
    assert rig.served() == "a/one"


def test_attempts_with_the_old_key_that_fail_late_send_nobody_away(rig: Rig) -> None:
    leases = [rig.router.select(CHAT) for _ in range(5)]
    rig.clock.advance(1)
    rig.rotate("second")
    for lease in leases:
        rig.router.report(lease, Outcome.failed(FailureKind.AUTH, status=401))
        rig.clock.advance(1)
    assert rig.standby() == []
    assert rig.served() == "a/one"


def test_provider_without_a_key_elsewhere_is_judged_as_ever(rig: Rig) -> None:
    lease = rig.router.select(CHAT, ["a/one", "a/two"])
    rig.router.report(lease, Outcome.failed(FailureKind.AUTH, status=401))
    assert rig.standby() == ["b/other"]


def test_other_failures_read_no_key(rig: Rig) -> None:
    rig.rotate("second")
    lease = rig.router.select(CHAT)
    rig.router.report(lease, Outcome.failed(FailureKind.SERVER_ERROR, status=500))
    key = rig.router.provider("a").api_key
    assert key is not None
    assert key.reveal() == "first"


def test_reload_gives_up_the_keys_of_the_file_before(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "router.yaml").write_text(TWO.replace('{api_key: "${file:key}"}', ""))
    rig.router.reload(tmp_path / "router.yaml")
    rig.rotate("second")
    lease = rig.router.select(CHAT)
    rig.clock.advance(1)
    rig.router.report(lease, Outcome.failed(FailureKind.AUTH, status=401))
    assert rig.standby() == ["a/one", "a/two"]
    assert rig.router.provider("a").api_key is None


def test_request_that_meets_a_rotated_key_is_repeated_by_the_same_model(rig: Rig) -> None:
    rig.rotate("second")
    assert rig.served() == "a/one"
    tried = [(each.model, each.kind) for each in rig.router.decisions[0].attempts]
    assert tried == [("a/one", FailureKind.AUTH), ("a/one", None)]


def test_only_model_is_repeated_once(rig: Rig) -> None:
    for other in ("a/two", "b/other"):
        rig.router.deactivate(other)
    rig.rotate("second")
    assert rig.served() == "a/one"
    rig.rotate("third")
    rig.valid = "another"
    rig.clock.advance(3)
    with pytest.raises(AllModelsFailedError) as caught:
        rig.served()
    assert len(caught.value.attempts) == 2
