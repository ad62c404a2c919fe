"""Limits that processes share: what all of them use together, and what each has reserved."""

from dataclasses import replace
from functools import partial

import pytest

from capability_router.engine.limits import Limit, Unit
from capability_router.engine.model import Model, Provider
from tests.storage.fleet import Fleet, Process

CHAT = ("chat-completion",)


def limited(amount: float, *, strict: bool = False, window_s: float | None = None) -> Model:
    limit = Limit(Unit.REQUESTS, amount, window_s=window_s, strict=strict)
    return Model("alpha/x", CHAT, limits=(limit,))


def asked(process: Process, times: int) -> int:
    return sum(process.ask() != "" for _ in range(times))


@pytest.mark.parametrize("strict", [False, True])
def test_what_is_used_of_a_limit_is_used_for_all(strict: bool) -> None:
    fleet = Fleet(2, models=[limited(100, strict=strict)])
    first, second = fleet.processes
    taken = 0
    for _ in range(60):
        taken += asked(first, 1)
        fleet.settle()
        taken += asked(second, 1)
        fleet.settle()
    assert taken == 100
    assert first.ask() == second.ask() == ""
    assert first.reasons() == second.reasons() == {"alpha/x": "request_limit"}


def test_of_a_strict_limit_no_more_is_taken_than_there_is_however_many_ask_at_once() -> None:
    fleet = Fleet(8, models=[limited(1000, strict=True)])
    taken = 0
    for _ in range(400):
        taken += sum(asked(process, 7) for process in fleet.processes)
        fleet.clock.advance(0.05)
        fleet.settle()
    assert taken == 1000


def test_a_process_that_dies_loses_what_it_had_reserved_and_no_more_is_taken() -> None:
    fleet = Fleet(4, models=[limited(1000, strict=True)])
    taken = 0
    for step in range(300):
        taken += sum(asked(process, 5) for process in fleet.processes)
        if step in (10, 20, 30):
            fleet.kill(fleet.processes[0])
            fleet.join()
        fleet.clock.advance(1.0)
        fleet.settle()
    assert 900 <= taken <= 1000


def test_what_is_taken_while_an_answer_is_on_its_way_was_not_given_back() -> None:
    fleet = Fleet(4, models=[limited(100, strict=True)])
    taken = 0

    def ask(process: Process) -> None:
        nonlocal taken
        taken += asked(process, 3)

    for _ in range(200):
        for process in fleet.processes:
            process.client.meanwhile = partial(ask, process)
            taken += asked(process, 2)
        fleet.clock.advance(0.3)
        fleet.settle()
    assert taken == 100


def test_who_is_cut_off_keeps_to_what_it_has_reserved_of_a_strict_limit() -> None:
    fleet = Fleet(2, models=[limited(1000, strict=True)])
    first, second = fleet.processes
    fleet.cut(first)
    alone = asked(first, 1000)
    assert 0 < alone <= 10
    taken = 0
    for _ in range(400):
        taken += asked(second, 20)
        fleet.pass_time(1.0)
    assert taken + alone <= 1000
    fleet.cut(first, None)
    for _ in range(50):
        taken += asked(first, 20) + asked(second, 20)
        fleet.pass_time(1.0)
    assert taken + alone == 1000


def test_who_is_cut_off_goes_on_with_a_limit_that_is_not_strict() -> None:
    fleet = Fleet(2, models=[limited(1000)])
    first, second = fleet.processes
    asked(second, 300)
    fleet.settle()
    fleet.pass_time(10.0)
    fleet.cut(first)
    assert asked(first, 1000) == 700
    fleet.cut(first, None)
    fleet.pass_time(10.0)
    assert second.ask() == ""


def test_a_rolling_window_lets_go_of_what_others_used() -> None:
    fleet = Fleet(2, models=[limited(10, window_s=60.0)])
    first, second = fleet.processes
    assert asked(first, 20) == 10
    fleet.settle()
    fleet.pass_time(3.0)
    assert second.ask() == ""
    fleet.pass_time(70.0)
    assert asked(second, 20) == 10


def test_what_a_provider_allows_is_shared_by_all_of_its_models() -> None:
    provider = Provider("alpha", limits=(Limit(Unit.REQUESTS, 10, strict=True),))
    models = (Model("alpha/x", CHAT), Model("alpha/z", CHAT))
    fleet = Fleet(2, models=models, providers=[provider])
    taken = 0
    for _ in range(40):
        taken += sum(asked(process, 3) for process in fleet.processes)
        fleet.pass_time(0.5)
    assert taken == 10


def test_a_store_that_was_emptied_is_told_everything_again() -> None:
    fleet = Fleet(2, models=(limited(100), Model("beta/y", CHAT)))
    first, second = fleet.processes
    asked(first, 20)
    first.router.deactivate("beta/y")
    fleet.settle()
    fleet.pass_time(3.0)
    fleet.shelf.empty("second")
    fleet.pass_time(10.0)
    assert len(fleet.shelf.entries) >= 1
    late = fleet.join()
    fleet.pass_time(3.0)
    assert late.reasons() == {"beta/y": "manual"}
    (forecast,) = late.router.pool("chat-completion").forecast()
    assert forecast.taken == 20
    assert second.reasons() == {"beta/y": "manual"}


def test_who_leaves_gives_back_what_it_had_reserved() -> None:
    fleet = Fleet(2, models=[limited(1000, strict=True)])
    first, second = fleet.processes
    asked(first, 3)
    first.keeper.detach(first.router)
    (record,) = fleet.shelf.limits.values()
    assert record.used == {0: 3}
    assert len(record.holds) == 1
    assert second.active() == ["alpha/x"]


def test_what_was_reserved_in_a_store_that_was_emptied_is_reserved_no_more() -> None:
    fleet = Fleet(3, models=[limited(100, strict=True)])
    taken = 0
    for _ in range(4):
        taken += sum(asked(process, 2) for process in fleet.processes)
        fleet.pass_time(1.0)
    fleet.shelf.empty("second")
    for _ in range(100):
        taken += sum(asked(process, 2) for process in fleet.processes)
        fleet.pass_time(1.0)
    assert 80 <= taken <= 100


def test_a_limit_that_becomes_strict_leaves_nothing_until_something_is_reserved() -> None:
    fleet = Fleet(1, models=[limited(100)])
    (process,) = fleet.processes
    assert asked(process, 3) == 3
    fleet.pass_time(3.0)
    (meter,) = process.router.replica.meters()
    meter.change(replace(meter.limit, strict=True))
    assert process.ask() == ""
    fleet.pass_time(3.0)
    assert process.ask() == "alpha/x"


def test_who_shares_no_more_counts_alone() -> None:
    fleet = Fleet(2, models=[limited(10)])
    first, second = fleet.processes
    asked(second, 8)
    fleet.pass_time(3.0)
    asked(first, 1)
    first.keeper.detach(first.router)
    with first.router.step():
        first.router.replica.stand_alone()
    assert asked(first, 20) == 9
