"""The same seed, clock and inputs give the same decisions, in this process and in any other."""

import os
import subprocess
import sys

import pytest

from capability_router.engine.outcome import FailureKind
from tests.engine.replaying import kinds_in, told_by
from tests.house.source import ROOT


def test_same_seed_and_inputs_give_the_same_events_and_decisions() -> None:
    assert told_by(seed=3) == told_by(seed=3)


def test_other_seed_draws_other_cooldowns() -> None:
    assert told_by(seed=3) != told_by(seed=4)


def test_replayed_run_is_an_eventful_one() -> None:
    told = told_by(seed=3)
    expected = {"auth", "not_found", "rate_limited", "server_error", "overloaded", "timeout"}
    assert kinds_in(told) >= set(map(FailureKind, expected))
    for event in ("MODEL_DEACTIVATED", "PROBE_FAILED", "MODEL_ACTIVATED", "MODEL_ROTATED"):
        assert any(event in line for line in told), event


@pytest.mark.parametrize("hash_seed", ["1", "2", "3"])
def test_replay_in_another_process_is_the_same_whatever_its_hash_seed(hash_seed: str) -> None:
    program = "from tests.engine.replaying import told_by; print('\\n'.join(told_by(seed=3)))"
    replay = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert replay.stdout.splitlines() == told_by(seed=3)
