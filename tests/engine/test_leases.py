"""Permits and trials: a lease ends once, a standby model is tried by one request at a time."""

from contextlib import suppress
from dataclasses import replace

import pytest

from capability_router.engine.errors import LeaseEndedError, NoAvailableModelError
from capability_router.engine.events import EventType
from capability_router.engine.lease import Lease, LeaseEnd
from capability_router.engine.outcome import FailureKind, Outcome
from capability_router.engine.recovery import Cooldown
from capability_router.engine.rotation import RotationPolicy
from tests.engine.building import CHAT, TEXT, Rig, model, together

STEADY = RotationPolicy(recovery=Cooldown(jitter=0.0))
PROBES = (EventType.PROBE_STARTED, EventType.PROBE_FAILED, EventType.PROBE_RETURNED)
BROKEN = Outcome.failed(FailureKind.SERVER_ERROR)


def with_probe_due(*others: str) -> Rig:
    """Return a rig whose model ``a/x`` waits for its trial."""
    rig = Rig("a/x", *others, policy=STEADY)
    rig.fail_out("a/x")
    rig.clock.advance(2)
    return rig


@pytest.mark.parametrize("first", [LeaseEnd.REPORTED, LeaseEnd.RELEASED])
@pytest.mark.parametrize("second", [LeaseEnd.REPORTED, LeaseEnd.RELEASED])
def test_lease_ends_exactly_once(first: LeaseEnd, second: LeaseEnd) -> None:
    def end(how: LeaseEnd) -> None:
        if how is LeaseEnd.REPORTED:
            rig.router.report(lease, Outcome.success())
        else:
            rig.router.release(lease)

    rig = Rig("a/x")
    lease = rig.select()
    end(first)
    with pytest.raises(LeaseEndedError, match="the lease on 'a/x' has already ended"):
        end(second)
    assert lease.end is first
    assert rig.router.state("a/x").in_flight == 0
    assert rig.router.state("a/x").successes == (first is LeaseEnd.REPORTED)


def test_released_lease_says_nothing_about_the_model() -> None:
    rig = Rig("a/x")
    for _ in range(10):
        rig.router.release(rig.select())
    state = rig.router.state("a/x")
    assert (state.in_flight, state.successes, state.failures) == (0, 0, 0)


def test_forgotten_lease_expires_and_its_late_report_is_let_go() -> None:
    rig = Rig("a/x", lease_ttl_s=10.0)
    lost, late = rig.select(), rig.select()
    rig.clock.advance(9.9)
    young = rig.select()
    assert (lost.end, late.end) == (None, None)
    rig.clock.advance(0.1)
    rig.router.release(rig.select())
    assert (lost.end, late.end, young.end) == (LeaseEnd.EXPIRED, LeaseEnd.EXPIRED, None)
    assert rig.router.state("a/x").in_flight == 1
    rig.router.report(late, BROKEN)
    assert late.end is LeaseEnd.EXPIRED
    assert rig.router.state("a/x").failures == 0


def test_forgotten_probe_is_due_again_when_its_lease_expires() -> None:
    rig = with_probe_due()
    assert rig.select().probe
    rig.clock.advance(600)
    assert rig.select().probe
    assert [kind for kind, _ in rig.told(*PROBES)] == [
        EventType.PROBE_STARTED,
        EventType.PROBE_RETURNED,
        EventType.PROBE_STARTED,
    ]


def test_due_probe_goes_to_the_first_fresh_request_although_another_is_active() -> None:
    rig = with_probe_due("b/y")
    lease = rig.select()
    assert (lease.model.id, lease.probe) == ("a/x", True)
    assert rig.select().model.id == "b/y"


def test_due_probe_comes_last_in_a_call_that_has_failed_before() -> None:
    rig = with_probe_due("b/y", "c/z")
    assert rig.select("chat-completion", "b/y").model.id == "c/z"
    assert rig.select("chat-completion", "b/y", "c/z").probe


def test_burst_of_requests_probes_a_lone_model_once() -> None:
    rig = with_probe_due()
    leases: list[Lease] = []

    def ask() -> None:
        for _ in range(20):
            with suppress(NoAvailableModelError):
                leases.append(rig.select())

    together(*[ask] * 10)
    assert [lease.probe for lease in leases] == [True]
    assert rig.told(*PROBES) == [(EventType.PROBE_STARTED, "a/x")]
    assert rig.router.state("a/x").in_flight == 1


def test_request_that_meets_a_probe_in_flight_learns_of_it() -> None:
    rig = with_probe_due()
    rig.select()
    with pytest.raises(NoAvailableModelError) as caught:
        rig.select()
    assert caught.value.reasons == {"a/x": "error_threshold, probe in flight"}


def test_two_pools_probe_the_model_once_each() -> None:
    rig = Rig("a/x", policy=STEADY)
    for name, node in (("chat", CHAT), ("text", TEXT)):
        rig.router.add_pool(name, node)
    rig.fail_out("a/x")
    rig.clock.advance(2)
    probes = [rig.select(), rig.select()]
    assert [lease.pool.name for lease in probes if lease.probe] == ["chat", "text"]
    with pytest.raises(NoAvailableModelError):
        rig.select()
    rig.router.report(probes[0], Outcome.success())
    rig.router.report(probes[1], BROKEN)
    assert (rig.active("chat"), rig.active("text")) == (["a/x"], ["a/x"])


def test_successful_probe_returns_the_model() -> None:
    rig = with_probe_due()
    assert rig.serve() == "a/x"
    assert rig.active() == ["a/x"]
    assert rig.router.state("a/x").consecutive_failures == 0
    assert rig.events[-1].type is EventType.MODEL_ACTIVATED


def test_failed_probe_sends_the_model_back_to_wait() -> None:
    rig = with_probe_due()
    rig.fail(FailureKind.SERVER_ERROR)
    assert rig.standby() == ["a/x"]
    assert rig.events[-1].type is EventType.PROBE_FAILED
    assert rig.events[-1].until == rig.clock.now() + 4


@pytest.mark.parametrize("kind", [FailureKind.INVALID_REQUEST, FailureKind.CANCELLED, None])
def test_probe_that_showed_nothing_is_due_again_at_once(kind: FailureKind | None) -> None:
    rig = with_probe_due()
    if kind is None:
        rig.router.release(rig.select())
    else:
        rig.fail(kind)
    assert rig.events[-1].type is EventType.PROBE_RETURNED
    assert rig.select().probe


def test_answer_from_before_the_standby_does_not_end_it() -> None:
    rig = Rig("a/x", policy=STEADY)
    slow = rig.select()
    rig.fail_out("a/x")
    rig.router.report(slow, Outcome.success())
    assert rig.standby() == ["a/x"]


def test_panic_tries_the_model_that_recovers_first_before_its_time() -> None:
    rig = Rig("a/x", "b/y", policy=replace(STEADY, max_ejected=1.0))
    for each in ("b/y", "a/x"):
        rig.fail_out(each)
        rig.clock.advance(0.5)
    lease = rig.select()
    assert (lease.model.id, lease.probe, lease.panic) == ("b/y", True, True)
    assert rig.select().model.id == "a/x"


@pytest.mark.parametrize(
    "reason", ["manual", "rate_limited", "auth_failure", "quota_exhausted", "not_found"]
)
def test_panic_never_tries_a_model_whose_time_somebody_has_stated(reason: str) -> None:
    rig = Rig("a/x")
    rig.router.deactivate("a/x", reason)
    with pytest.raises(NoAvailableModelError):
        rig.select()


def test_pool_above_is_asked_before_anybody_panics() -> None:
    rig = Rig("a/x", policy=STEADY)
    rig.router.add_pool("chat", CHAT)
    rig.router.add_pool("text", TEXT)
    rig.fail_out("a/x")
    rig.router.pool("text").recover(rig.router.model("a/x"))
    lease = rig.select()
    assert (lease.pool.name, lease.panic) == ("text", False)


def test_failed_panic_probe_does_not_bring_the_next_trial_forward() -> None:
    rig = Rig("a/x", policy=STEADY)
    for _ in range(2):
        rig.fail_out("a/x")
        rig.clock.advance(2)
        rig.serve()
    rig.fail_out("a/x")
    until = rig.events[-1].until
    rig.fail(FailureKind.RATE_LIMITED, retry_after_s=0.1)
    assert until is not None
    assert rig.events[-1].type is EventType.PROBE_FAILED
    assert rig.events[-1].until == until


def test_order_of_a_person_outlasts_a_probe_that_fails_later() -> None:
    rig = with_probe_due("b/y")
    probe = rig.select()
    rig.router.deactivate("a/x", "manual")
    rig.router.report(probe, BROKEN)
    rig.clock.advance(1e6)
    assert rig.select().model.id == "b/y"
    assert rig.events[-1].until is None
    assert rig.events[-1].reason == "manual"


def test_order_of_a_person_outlasts_a_probe_that_succeeds_later() -> None:
    rig = with_probe_due("b/y")
    probe = rig.select()
    rig.router.deactivate("a/x", "manual")
    rig.router.report(probe, Outcome.success())
    assert rig.standby() == ["a/x"]
    pool = rig.router.pool("chat-completion")
    assert pool.reasons(probe.request, CHAT) == {"a/x": "manual, until recovered by hand"}
    assert rig.events[-1].type is EventType.PROBE_RETURNED


@pytest.mark.parametrize("ending", ["failure", "release"])
def test_late_end_of_an_old_probe_does_not_end_the_one_in_flight(ending: str) -> None:
    rig = with_probe_due()
    old = rig.select()
    rig.router.recover("a/x")
    rig.fail_out("a/x")
    rig.clock.advance(10)
    assert rig.select().probe
    if ending == "release":
        rig.router.release(old)
    else:
        rig.router.report(old, BROKEN)
    with pytest.raises(NoAvailableModelError, match="probe in flight"):
        rig.select()


def test_recovery_by_hand_ends_a_probe_and_its_late_failure_counts_as_any_other() -> None:
    rig = with_probe_due()
    probe = rig.select()
    rig.router.recover("a/x")
    rig.router.report(probe, BROKEN)
    assert rig.active() == ["a/x"]
    assert rig.router.state("a/x").consecutive_failures == 1


@pytest.mark.parametrize("ending", ["success", "failure", "release"])
@pytest.mark.parametrize("again", [True, False])
@pytest.mark.parametrize("probe", [True, False])
def test_model_may_be_unregistered_during_flight(*, ending: str, again: bool, probe: bool) -> None:
    rig = with_probe_due("b/y") if probe else Rig("a/x", "b/y")
    lease = rig.select()
    old = rig.router.state("a/x")
    assert (lease.model.id, lease.probe) == ("a/x", probe)
    rig.router.unregister("a/x")
    if again:
        rig.router.register(model("a/x"))
    told = len(rig.events)
    if ending == "release":
        rig.router.release(lease)
    else:
        gone = Outcome.failed(FailureKind.NOT_FOUND)
        rig.router.report(lease, Outcome.success() if ending == "success" else gone)
    assert old.in_flight == 0
    assert rig.events[told:] == []
    assert rig.active() == (["b/y", "a/x"] if again else ["b/y"])
    if again:
        new = rig.router.state("a/x")
        assert (new.in_flight, new.successes, new.consecutive_failures) == (0, 0, 0)


def test_provider_failure_of_an_unregistered_model_harms_no_other() -> None:
    rig = Rig("a/x", "a/y")
    lease = rig.select()
    rig.router.unregister("a/x")
    rig.router.report(lease, Outcome.failed(FailureKind.AUTH))
    assert rig.active() == ["a/y"]
