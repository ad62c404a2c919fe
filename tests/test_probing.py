"""Active probes: models are asked in the background, and what they answer counts."""

from threading import Event

import pytest

from capability_router.engine.model import Model
from capability_router.engine.outcome import FailureKind
from capability_router.probing import Prober
from tests.engine.building import Rig, overloaded


def test_standby_model_that_is_well_again_serves_without_costing_a_user_anything() -> None:
    rig, asked = Rig("a/x", "b/y"), list[str]()
    prober = Prober(rig.router, lambda model: asked.append(model.id))
    rig.fail_out("a/x")
    assert prober.probe_due() == 0
    rig.clock.advance(10.0)
    assert prober.probe_due() == 1
    assert (asked, rig.active()) == (["a/x"], ["a/x", "b/y"])


def test_model_that_is_still_down_waits_longer() -> None:
    rig = Rig("a/x", "b/y")

    def refuse(model: Model) -> None:
        raise overloaded()

    rig.fail_out("a/x")
    rig.clock.advance(3.0)
    prober = Prober(rig.router, refuse)
    assert (prober.probe_due(), prober.probe_due()) == (1, 0)
    assert rig.standby() == ["a/x"]


def test_model_with_a_bad_key_is_found_out_at_the_start() -> None:
    rig = Rig("a/x", "a/y", "b/z")

    def check(model: Model) -> None:
        if model.provider == "a":
            error = overloaded()
            error.status_code = error.response.status_code = 401
            raise error

    assert Prober(rig.router, check).probe_all() >= 2
    assert rig.active() == ["b/z"]


def test_model_on_trial_for_a_user_is_not_probed_as_well() -> None:
    rig = Rig("a/x")
    rig.fail(FailureKind.RATE_LIMITED, retry_after_s=1.0)
    rig.clock.advance(1.0)
    assert rig.select().probe
    assert Prober(rig.router, lambda model: None).probe_due() == 0


def test_probes_run_in_the_background_until_they_are_stopped() -> None:
    rig, rounds = Rig("a/x", "b/y"), Event()
    with rig.router.start_probing(lambda model: rounds.set(), interval_s=0.01):
        assert rounds.wait(10.0)
    before = rig.router.state("a/x").successes
    assert before >= 1
    assert all(rig.router.state(name).in_flight == 0 for name in ("a/x", "b/y"))


def test_interval_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="interval_s 0 must be above 0"):
        Rig().router.start_probing(lambda model: None, interval_s=0)


def test_users_requests_are_no_trials_while_models_are_probed_unless_nobody_else_is_left() -> None:
    rig = Rig("a/x", "b/y")
    rig.fail_out("a/x")
    rig.clock.advance(10.0)
    with rig.router.start_probing(lambda model: None, interval_s=1000.0, at_start=False):
        assert not rig.select().probe
        assert rig.select("chat-completion", "b/y").probe
    rig.router.release(rig.select())
