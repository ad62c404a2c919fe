"""Time that is handed in, and where it comes from if nobody does."""

import asyncio
import subprocess
import sys
from math import inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.clock import SystemClock
from capability_router.engine.timing import Deadline, default_world
from capability_router.router import CapabilityRouter
from capability_router.testing.clock import ManualClock
from tests.engine.building import model
from tests.house.source import ROOT

seconds = st.floats(0, 1e9)


def ran(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )


@given(now=seconds, allowed=seconds, later=seconds)
def test_deadline_has_passed_exactly_when_nothing_is_left(
    now: float, allowed: float, later: float
) -> None:
    deadline = Deadline.after(now, allowed)
    assert deadline.passed(later) == (deadline.left(later) == 0)
    assert deadline.left(now) == pytest.approx(allowed, abs=1e-6)


def test_no_deadline_never_passes() -> None:
    deadline = Deadline.after(5.0, None)
    assert (deadline.passed(1e300), deadline.left(1e300)) == (False, inf)


def test_package_lends_the_engine_the_systems_clock() -> None:
    world = default_world()
    assert isinstance(world.clock, SystemClock)
    assert isinstance(world.rng, Random)
    assert world.clock.now() <= world.clock.now()


def test_public_names_come_with_a_clock() -> None:
    program = (
        "from capability_router import CapabilityPool, EventEmitter, RotationPolicy;"
        "print(CapabilityPool('text', 'chat-completion', RotationPolicy(), EventEmitter()))"
    )
    assert "CapabilityPool('text'" in ran(program).stdout


def test_engine_alone_has_no_clock_and_says_what_to_do() -> None:
    result = ran("from capability_router.engine.timing import default_world; default_world()")
    assert "RuntimeError: no clock was given: pass world=World(clock, rng)" in result.stderr


def test_router_takes_its_clock_and_its_chance_from_the_system_by_default() -> None:
    router = CapabilityRouter()
    router.register(model("a/x"))
    assert router.call("chat-completion", lambda asked: asked.name) == "x"
    assert isinstance(router.clock, SystemClock)
    assert router.world.rng is default_world().rng


def test_manual_clock_moves_only_when_told_or_waited_for() -> None:
    clock = ManualClock(5.0)
    clock.advance(1.0)
    clock.sleep(2.0)
    asyncio.run(clock.asleep(3.0))
    assert (clock.now(), clock.slept) == (11.0, [2.0, 3.0])


def test_system_clock_can_be_waited_for() -> None:
    clock = SystemClock()
    clock.sleep(0)
    asyncio.run(clock.asleep(0))
