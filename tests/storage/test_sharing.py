"""What one process learns all know: two and more routers on one store, step by step."""

import pytest

from capability_router.engine.model import Model
from capability_router.engine.outcome import FailureKind
from capability_router.storage.store import StoreFault
from tests.storage.fleet import Fleet

CHAT = ("chat-completion",)
TWO = (Model("alpha/x", CHAT), Model("beta/y", CHAT))


def test_whom_a_provider_refuses_in_one_process_no_other_asks() -> None:
    fleet = Fleet(3, models=TWO)
    first, second, third = fleet.processes
    assert first.ask(FailureKind.RATE_LIMITED, 60.0) == "alpha/x"
    fleet.settle()
    assert second.active() == third.active() == ["beta/y"]
    assert second.reasons() == {"alpha/x": "rate_limited"}
    (state,) = second.router.pool("chat-completion").get_standby()
    assert state.until == pytest.approx(fleet.clock.now() + 60.0, abs=0.01)


def test_who_comes_back_in_one_process_comes_back_in_all() -> None:
    fleet = Fleet(2, models=TWO)
    first, second = fleet.processes
    first.router.deactivate("alpha/x")
    fleet.settle()
    second.router.recover("alpha/x")
    fleet.settle()
    assert first.active() == second.active() == ["alpha/x", "beta/y"]
    assert fleet.shelf.entries == {}


def test_each_change_is_one_event_in_each_process() -> None:
    fleet = Fleet(2, models=TWO)
    for process in fleet.processes:
        process.events.clear()
    fleet.processes[0].ask(FailureKind.RATE_LIMITED, 60.0)
    fleet.pass_time(5)
    fleet.processes[1].router.recover("alpha/x")
    fleet.pass_time(5)
    standing = ["model_deactivated", "model_activated"]
    for process in fleet.processes:
        assert [each for each in process.told() if each in standing] == standing
        assert "standby_extended" not in process.told()


def test_of_two_times_for_one_reason_the_later_counts_whoever_was_first() -> None:
    fleet = Fleet(2, models=TWO)
    first, second = fleet.processes
    first.ask(FailureKind.RATE_LIMITED, 30.0)
    second.ask(FailureKind.RATE_LIMITED, 90.0)
    fleet.settle()
    for process in fleet.processes:
        (state,) = process.router.pool("chat-completion").get_standby()
        assert state.until == pytest.approx(fleet.clock.now() + 90.0, abs=0.01)


def test_a_recovery_does_not_undo_what_was_learnt_since() -> None:
    fleet = Fleet(2, models=TWO)
    first, second = fleet.processes
    first.router.deactivate("alpha/x")
    fleet.settle()
    second.router.recover("alpha/x")
    second.ask(FailureKind.RATE_LIMITED, 50.0)
    fleet.settle()
    assert first.reasons() == second.reasons() == {"alpha/x": "rate_limited"}


def test_who_starts_later_finds_what_holds() -> None:
    fleet = Fleet(1, models=TWO)
    fleet.processes[0].router.deactivate("beta/y", "maintenance by hand")
    fleet.processes[0].ask(FailureKind.RATE_LIMITED, 60.0)
    fleet.settle()
    late = fleet.join()
    fleet.settle()
    assert late.reasons() == {"alpha/x": "rate_limited", "beta/y": "maintenance by hand"}


def test_all_that_holds_outlives_every_process() -> None:
    fleet = Fleet(1, models=TWO)
    fleet.processes[0].router.deactivate("beta/y")
    fleet.processes[0].ask(FailureKind.RATE_LIMITED, 60.0)
    fleet.settle()
    fleet.kill(fleet.processes[0])
    fleet.clock.advance(20.0)
    late = fleet.join()
    fleet.settle()
    assert late.reasons() == {"alpha/x": "rate_limited", "beta/y": "manual"}
    (refused,) = (
        s for s in late.router.pool("chat-completion").get_standby() if s.model == "alpha/x"
    )
    assert refused.until == pytest.approx(fleet.clock.now() + 40.0, abs=0.01)


def test_a_refused_key_sends_the_whole_provider_away_everywhere() -> None:
    models = (Model("alpha/x", CHAT), Model("alpha/z", CHAT), Model("beta/y", CHAT))
    fleet = Fleet(2, models=models)
    fleet.processes[0].ask(FailureKind.AUTH)
    fleet.settle()
    second = fleet.processes[1]
    assert second.active() == ["beta/y"]
    assert second.told().count("provider_deactivated") == 1


def test_a_drained_provider_serves_nobody_until_it_is_recovered_anywhere() -> None:
    fleet = Fleet(2, models=TWO)
    first, second = fleet.processes
    first.router.drain("alpha")
    fleet.settle()
    assert second.reasons() == {"alpha/x": "drained"}
    second.router.register(Model("alpha/new", CHAT))
    assert second.active() == ["beta/y"]
    second.router.recover("alpha")
    fleet.settle()
    assert first.active() == ["alpha/x", "beta/y"]
    assert second.active() == ["alpha/x", "beta/y", "alpha/new"]


def test_an_order_for_some_hours_ends_by_itself_everywhere() -> None:
    fleet = Fleet(2, models=TWO)
    first, second = fleet.processes
    first.router.deactivate("alpha/x", "deploying", for_s=120.0)
    fleet.settle()
    assert second.reasons() == {"alpha/x": "deploying"}
    fleet.pass_time(121.0, 10.0)
    assert first.active() == second.active() == ["alpha/x", "beta/y"]
    assert fleet.shelf.entries == {}


def test_an_order_waits_for_a_model_that_comes_later() -> None:
    fleet = Fleet(2, models=TWO)
    first, second = fleet.processes
    first.router.register(Model("gamma/z", CHAT))
    first.router.deactivate("gamma/z")
    fleet.settle()
    second.router.register(Model("gamma/z", CHAT))
    fleet.settle()
    assert second.reasons() == {"gamma/z": "manual"}


def test_one_probe_in_the_whole_fleet() -> None:
    fleet = Fleet(3, models=TWO)
    first = fleet.processes[0]
    first.ask(FailureKind.RATE_LIMITED, 30.0)
    fleet.settle()
    fleet.clock.advance(31.0)
    assert {process.ask() for process in fleet.processes} == {"beta/y"}
    for _ in range(3):
        fleet.settle()
        leases = [process.lease() for process in fleet.processes]
        trials = [lease for lease in leases if lease is not None and lease.probe]
        assert len(trials) == 1
        assert trials[0].model.id == "alpha/x"
        for process, lease in zip(fleet.processes, leases, strict=True):
            if lease is not None:
                process.router.release(lease)
        fleet.settle()


def test_a_probe_that_succeeds_brings_the_model_back_everywhere() -> None:
    fleet = Fleet(2, models=TWO)
    fleet.processes[0].ask(FailureKind.RATE_LIMITED, 30.0)
    fleet.settle()
    fleet.clock.advance(31.0)
    for process in fleet.processes:
        process.ask()
    fleet.settle()
    assert "alpha/x" in [process.ask() for process in fleet.processes]
    fleet.settle()
    assert all(process.active() == ["alpha/x", "beta/y"] for process in fleet.processes)
    assert fleet.shelf.claims == {}


def test_the_next_may_probe_when_who_was_to_do_it_dies() -> None:
    fleet = Fleet(2, models=TWO)
    first, second = fleet.processes
    first.ask(FailureKind.RATE_LIMITED, 30.0)
    fleet.settle()
    fleet.clock.advance(31.0)
    first.ask()
    fleet.settle()
    trial = first.lease()
    assert trial is not None
    assert trial.probe
    fleet.settle()
    fleet.kill(first)
    assert second.ask() == "beta/y"
    fleet.pass_time(11.0)
    assert second.ask() == "alpha/x"


def test_a_lost_store_is_said_once_and_everybody_goes_on() -> None:
    fleet = Fleet(2, models=TWO)
    for process in fleet.processes:
        fleet.cut(process, StoreFault.SLOW)
    fleet.pass_time(30.0)
    for process in fleet.processes:
        assert process.told().count("state_store_lost") == 1
        assert process.ask(FailureKind.RATE_LIMITED, 5.0) == "alpha/x"
        fleet.clock.advance(6.0)
        assert process.ask() == "alpha/x"


def test_what_both_learnt_while_they_were_cut_off_comes_together_when_the_store_returns() -> None:
    fleet = Fleet(2, models=(*TWO, Model("gamma/z", CHAT)))
    first, second = fleet.processes
    for process in fleet.processes:
        fleet.cut(process)
    first.router.deactivate("alpha/x")
    second.router.deactivate("beta/y")
    fleet.pass_time(5.0)
    for process in fleet.processes:
        fleet.cut(process, None)
    fleet.pass_time(5.0)
    assert first.active() == second.active() == ["gamma/z"]
    assert first.told().count("state_store_returned") == 1


def test_who_shares_no_more_has_its_own_trials() -> None:
    fleet = Fleet(2, models=TWO)
    first = fleet.processes[0]
    first.ask(FailureKind.RATE_LIMITED, 30.0)
    fleet.settle()
    first.keeper.detach(first.router)
    fleet.clock.advance(31.0)
    assert first.ask() == "alpha/x"


def test_news_before_the_first_exchange_are_read_with_it() -> None:
    fleet = Fleet(1, models=TWO)
    late = fleet.join()
    fleet.processes[0].ask(FailureKind.RATE_LIMITED, 60.0)
    fleet.processes[0].keeper.turn(fleet.processes[0].router)
    late.keeper.hear(late.router, late.client.listen(0))
    assert late.active() == ["alpha/x", "beta/y"]
    fleet.settle()
    (state,) = late.router.pool("chat-completion").get_standby()
    assert state.until == pytest.approx(fleet.clock.now() + 60.0, abs=0.01)


def test_news_that_were_lost_are_read_again() -> None:
    fleet = Fleet(2, models=TWO)
    first, second = fleet.processes
    first.router.deactivate("alpha/x")
    first.keeper.turn(first.router)
    second.client.lose_news()
    fleet.pass_time(5.0)
    assert second.reasons() == {"alpha/x": "manual"}


def test_a_value_that_cannot_be_read_is_said_and_left_out() -> None:
    fleet = Fleet(1, models=TWO)
    fleet.processes[0].router.deactivate("alpha/x")
    fleet.settle()
    (key,) = fleet.shelf.entries
    entry = fleet.shelf.entries[key]
    fleet.shelf.entries[key] = type(entry)(key, "no json", version=entry.version)
    late = fleet.join()
    fleet.settle()
    assert "state_damaged" in late.told()
    assert late.active() == ["alpha/x", "beta/y"]


def test_a_process_that_reads_another_configuration_is_told_of() -> None:
    fleet = Fleet(1, models=TWO, fingerprints=["old"])
    fleet.clock.advance(1.0)
    fleet.join("new")
    fleet.settle()
    assert [p.told().count("configuration_differs") for p in fleet.processes] == [1, 0]


def test_how_slow_a_model_is_is_known_to_who_comes_later() -> None:
    fleet = Fleet(1, models=TWO)
    first = fleet.processes[0]
    lease = first.lease()
    assert lease is not None
    fleet.clock.advance(3.0)
    first.report(lease)
    fleet.pass_time(12.0)
    late = fleet.join()
    fleet.settle()
    assert late.router.state("alpha/x").latency_s == pytest.approx(3.0)


def test_at_rest_little_is_said() -> None:
    fleet = Fleet(2, models=TWO)
    before = len(fleet.processes[0].client.asked)
    fleet.pass_time(20.0, 0.2)
    assert len(fleet.processes[0].client.asked) - before <= 11


def test_an_emptied_store_is_told_which_configuration_is_the_one() -> None:
    fleet = Fleet(1, models=TWO, fingerprints=["only"])
    fleet.shelf.empty("second")
    fleet.pass_time(5.0)
    assert any('"only"' in str(entry.value) for entry in fleet.shelf.entries.values())


def test_who_was_cut_off_is_not_taken_for_the_one_that_read_its_configuration_last() -> None:
    fleet = Fleet(1, models=TWO)
    late = fleet.join("old")
    fleet.cut(late)
    fleet.clock.advance(1.0)
    fleet.join("new")
    fleet.pass_time(5.0)
    fleet.cut(late, None)
    fleet.pass_time(5.0)
    assert [p.told().count("configuration_differs") for p in fleet.processes] == [0, 1, 0]
