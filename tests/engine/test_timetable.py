"""What the calendar demands: windows in which models rest, and last days."""

import pytest

from capability_router.calendars import CronSpans
from capability_router.engine.deactivation import Maintenance
from capability_router.engine.errors import NoAvailableModelError
from capability_router.engine.events import EventType
from capability_router.engine.model import Model
from capability_router.engine.outcome import Outcome
from capability_router.engine.recovery import Cooldown
from capability_router.engine.rotation import RotationPolicy
from tests.engine.building import CHAT, TEXT, Daily, Rig, model

STEADY = Cooldown(jitter=0.0)


def test_model_drains_on_its_last_day() -> None:
    rig = Rig(Model("a/x", ("chat-completion",), deprecated_at=1_767_225_600.0 + 7 * 86_400), "b/y")
    lease = rig.select()
    rig.clock.advance(7 * 86_400 - 1)
    assert rig.serve() == "a/x"
    rig.clock.advance(1)
    assert rig.serve() == "b/y"
    (event,) = [e for e in rig.events if e.type is EventType.MODEL_DEACTIVATED]
    assert (event.reason, event.until) == ("deprecated", None)
    rig.router.report(lease, Outcome.success())
    rig.clock.advance(1e6)
    assert rig.standby() == ["a/x"]


def test_model_whose_last_day_has_passed_never_serves() -> None:
    rig = Rig(Model("a/x", ("chat-completion",), deprecated_at=0.0))
    with pytest.raises(NoAvailableModelError, match="a/x: deprecated"):
        rig.select()


MIDNIGHT_TO_TWO = Daily(86_400.0 - 7200, 86_400.0)


def test_window_opens_and_closes_by_itself_and_asks_for_no_trial() -> None:
    policy = RotationPolicy(maintenance=(Maintenance(MIDNIGHT_TO_TWO, providers=["a"]),))
    rig = Rig("a/x", "b/y", policy=policy)
    assert rig.serve() == "a/x"
    rig.clock.advance(22 * 3600)
    assert rig.serve() == "b/y"
    (event,) = [e for e in rig.events if e.type is EventType.MODEL_DEACTIVATED]
    assert (event.model, event.reason, event.until) == ("a/x", "maintenance_window", 86_400.0)
    rig.clock.advance(2 * 3600)
    assert rig.active() == ["a/x", "b/y"]
    assert not rig.select(CHAT, "b/y").probe
    rig.clock.advance(22 * 3600)
    assert rig.standby() == ["a/x"]


def test_model_that_joins_during_a_window_waits_for_its_end() -> None:
    rig = Rig(policy=RotationPolicy(maintenance=(Maintenance(MIDNIGHT_TO_TWO),)))
    rig.router.pool(CHAT)
    rig.clock.advance(23 * 3600)
    rig.router.register(model("a/x"))
    assert rig.standby() == ["a/x"]
    rig.clock.advance(3600)
    assert rig.active() == ["a/x"]


def test_window_is_of_one_pool_only() -> None:
    rig = Rig("a/x")
    rig.router.add_pool("chat", CHAT, RotationPolicy(maintenance=(Maintenance(MIDNIGHT_TO_TWO),)))
    rig.router.add_pool("text", TEXT)
    rig.clock.advance(23 * 3600)
    assert (rig.standby("chat"), rig.standby("text")) == (["a/x"], [])


def test_model_that_failed_has_to_prove_itself_after_the_window() -> None:
    policy = RotationPolicy(maintenance=(Maintenance(MIDNIGHT_TO_TWO),), recovery=STEADY)
    rig = Rig("a/x", policy=policy)
    rig.clock.advance(22 * 3600 - 1)
    rig.fail_out("a/x")
    rig.clock.advance(1)
    assert rig.standby() == ["a/x"]
    rig.clock.advance(2 * 3600)
    assert rig.select().probe


def test_clock_set_forward_over_a_window_is_noticed_within_the_hour() -> None:
    rig = Rig("a/x", policy=RotationPolicy(maintenance=(Maintenance(MIDNIGHT_TO_TWO),)))
    rig.clock.set_wall(rig.clock.wall() + 22 * 3600)
    rig.clock.advance(3600)
    assert rig.standby() == ["a/x"]


def test_cron_window_keeps_local_time_across_the_change_of_clocks() -> None:
    two_in_berlin = CronSpans("0 2 * * *", 3600.0, zone="Europe/Berlin")
    rig = Rig("a/x", policy=RotationPolicy(maintenance=(Maintenance(two_in_berlin),)))
    # 27 March 2026, 01:00 UTC, and three days later in summer time, 00:00 UTC.
    for opens in (1_774_573_200.0, 1_774_828_800.0):
        rig.clock.advance(opens - 1 - rig.clock.wall())
        assert rig.active() == ["a/x"]
        rig.clock.advance(1)
        assert rig.standby() == ["a/x"]
        rig.clock.advance(3600)
        assert rig.active() == ["a/x"]
