"""Sessions keep their model, whoever else comes and goes."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.engine import affinity
from capability_router.engine.affinity import SessionSticky
from capability_router.engine.concurrency import Slots
from capability_router.engine.member import Member, Order, Standby
from capability_router.engine.request import CompletionRequest
from capability_router.engine.rotation import RotationPolicy
from tests.engine.building import CHAT, TEXT, Rig, member

TEN = [f"p{number % 3}/model-{number}" for number in range(10)]
SESSIONS = [f"user-{number}" for number in range(10_000)]
# Who serves four sessions, in their order, now and for ever.
GOLDEN = ["p1/model-4", "p0/model-0", "p0/model-3", "p1/model-1"]
# What chi-square with 8 and with 9 degrees of freedom exceeds once in a thousand times.
CHI_SQUARE_8, CHI_SQUARE_9 = 26.12, 27.88


def sticky(names: Iterable[str] = TEN, seed: int = 1) -> SessionSticky:
    strategy = SessionSticky(Random(seed))
    for name in names:
        strategy.admit(member(name))
    return strategy


def served(strategy: SessionSticky, session: str | None, tried: Collection[str] = ()) -> str | None:
    found = strategy.choose(CompletionRequest(CHAT, session=session), tried, 0.0)
    if found is None:
        return None
    strategy.chosen(found, tried, 0.0)
    return found.model.id


def homes(strategy: SessionSticky) -> dict[str, str | None]:
    return {session: served(strategy, session) for session in SESSIONS}


def chi_square(drawn: Iterable[object], kinds: int) -> float:
    counts = Counter(drawn)
    expected = counts.total() / kinds
    unseen = (kinds - len(counts)) * expected
    return sum((count - expected) ** 2 / expected for count in counts.values()) + unseen


def test_session_keeps_its_model() -> None:
    strategy = sticky()
    assert {served(strategy, "a") for _ in range(5)} == {served(strategy, "a")}
    assert len({served(strategy, session) for session in SESSIONS[:100]}) == 10


def test_session_has_the_same_model_in_every_process() -> None:
    # Written down: ``hash`` of a text would give others in each.
    assert [served(sticky(), session) for session in ("a", "user-1", "日本", "\ud800")] == GOLDEN


def test_session_has_the_same_model_in_whatever_order_models_joined() -> None:
    forth, back = sticky(TEN), sticky(reversed(TEN), seed=2)
    assert [served(forth, each) for each in SESSIONS[:500]] == [
        served(back, each) for each in SESSIONS[:500]
    ]


def test_sessions_spread_evenly() -> None:
    assert chi_square(homes(sticky()).values(), 10) < CHI_SQUARE_9


def test_losing_a_model_moves_its_sessions_only_and_they_return_with_it() -> None:
    strategy = sticky()
    before = homes(strategy)
    strategy.withdraw(member(TEN[3]))
    without = homes(strategy)
    moved = [session for session in SESSIONS if without[session] != before[session]]
    assert moved == [session for session in SESSIONS if before[session] == TEN[3]]
    assert chi_square((without[session] for session in moved), 9) < CHI_SQUARE_8
    strategy.admit(member(TEN[3]))
    assert homes(strategy) == before


def test_new_model_takes_an_equal_share_and_nothing_else_moves() -> None:
    strategy = sticky(TEN[:9])
    before = homes(strategy)
    strategy.admit(member(TEN[9]))
    after = homes(strategy)
    moved = [session for session in SESSIONS if after[session] != before[session]]
    assert {after[session] for session in moved} == {TEN[9]}
    assert chi_square(after.values(), 10) < CHI_SQUARE_9


def test_tried_model_is_replaced_by_the_one_that_would_serve_without_it() -> None:
    strategy = sticky()
    tried: list[str] = []
    for _ in TEN:
        expected = served(sticky(name for name in TEN if name not in tried), "a")
        assert expected is not None
        assert served(strategy, "a", tried) == expected
        tried.append(expected)
    assert served(strategy, "a", tried) is None
    assert served(strategy, "a") == tried[0]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 9), st.sampled_from("abc"), st.sets(st.sampled_from(TEN), max_size=5)
        ),
        max_size=60,
    )
)
def test_what_is_remembered_agrees_with_weighing_anew(
    steps: list[tuple[int, str, set[str]]],
) -> None:
    strategy, present = sticky([]), dict[str, None]()
    for place, session, tried in steps:
        name = TEN[place]
        if name in present:
            del present[name]
            strategy.withdraw(member(name))
        else:
            present[name] = None
            strategy.admit(member(name))
        assert served(strategy, session, tried) == served(sticky(present), session, tried)


def test_session_that_slept_through_many_changes_wakes_where_it_belongs() -> None:
    strategy = sticky(TEN[:3])
    served(strategy, "a")
    many = [f"q/{number}" for number in range(500)]
    for name in many:
        strategy.admit(member(name))
    assert served(strategy, "a") == served(sticky([*TEN[:3], *many]), "a")


def test_session_that_was_forgotten_has_the_same_model_as_before() -> None:
    strategy = sticky()
    first = served(strategy, "first")
    for number in range(10_500):
        served(strategy, f"other-{number}")
    assert served(strategy, "first") == first


def test_only_so_many_sessions_are_remembered() -> None:
    strategy = sticky(TEN[:2])
    for number in range(10_500):
        served(strategy, f"other-{number}")
    assert len(strategy._sessions) == 10_000


def count_weights(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the model of every weight that is worked out from now on."""
    weighed: list[str] = []
    plain = affinity._weights

    def counting(session: int, seats: Iterable[affinity._Seat]) -> Iterator[tuple[int, str]]:
        for weight in plain(session, seats):
            weighed.append(weight[1])
            yield weight

    monkeypatch.setattr(affinity, "_weights", counting)
    return weighed


def test_only_the_first_request_of_a_session_weighs_every_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many = [f"q/{number}" for number in range(300)]
    strategy = sticky(many)
    weighed = count_weights(monkeypatch)
    first = served(strategy, "a")
    assert weighed == many
    weighed.clear()
    for name in (first, many[0], many[1]):
        strategy.withdraw(member(str(name)))
        served(strategy, "a")
    assert weighed == []
    strategy.admit(member(str(first)))
    assert [served(strategy, "a") for _ in range(3)] == [first] * 3
    assert weighed == [first]


def test_session_whose_best_models_have_all_left_is_weighed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    strategy = sticky(f"q/{number}" for number in range(300))
    for _ in range(4):
        strategy.withdraw(member(str(served(strategy, "a"))))
    weighed = count_weights(monkeypatch)
    assert len({served(strategy, "a") for _ in range(5)}) == 1
    assert len(weighed) == 296


def crowd(size: int) -> list[Member]:
    members = [member(f"q/{number}") for number in range(size)]
    for each in members:
        each.state.slots = Slots(1)
    return members


def turn(strategy: SessionSticky, each: Member) -> None:
    """Let a member take an attempt and be full, or have room again."""
    each.state.in_flight = 1 - each.state.in_flight
    (strategy.withdraw if each.state.is_full else strategy.admit)(each)


def test_models_that_are_full_now_and_then_let_nothing_be_weighed_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    strategy, members = SessionSticky(Random(1)), crowd(300)
    for each in members:
        strategy.admit(each)
    home = served(strategy, "a")
    weighed = count_weights(monkeypatch)
    for _ in range(3):
        for each in members:
            turn(strategy, each)
            assert (served(strategy, "a") == home) is (each.model.id != home)
            turn(strategy, each)
    assert weighed == []


def test_session_whose_best_models_are_all_full_knows_four_times_as_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    strategy, members = SessionSticky(Random(1)), {each.model.id: each for each in crowd(300)}
    for each in members.values():
        strategy.admit(each)
    weighed = count_weights(monkeypatch)
    for expected in [*[300] * 4, *[600] * 12, 900]:
        best = served(strategy, "a")
        assert best is not None
        assert len(weighed) == expected
        turn(strategy, members[best])


@given(
    st.lists(
        st.tuples(
            st.integers(0, 11), st.sampled_from(["turn", "leave", "order"]), st.sampled_from("abc")
        ),
        max_size=80,
    )
)
def test_sessions_belong_where_they_would_whoever_was_full_meanwhile(
    steps: list[tuple[int, str, str]],
) -> None:
    strategy, members, present = SessionSticky(Random(1)), crowd(12), set[int]()
    for place, what, session in steps:
        each = members[place]
        there = place in present and not each.state.is_full
        if place not in present:
            each.standby = None
            present.add(place)
            if not each.state.is_full:
                strategy.admit(each)
        elif what == "turn":
            turn(strategy, each)
        else:
            # As a pool does: who is full is withdrawn already; who is gone for good is not told.
            each.standby = Standby(Order("manual", 0.0), 0.0) if what == "order" else None
            present.remove(place)
            if there:
                strategy.withdraw(each)
            if what == "leave":
                members[place] = crowd(12)[place]
        names = [m.model.id for p, m in enumerate(members) if p in present and not m.state.is_full]
        assert served(strategy, session) == served(sticky(names), session)


def test_session_in_use_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = sticky(TEN[:2])
    served(strategy, "in use")
    for number in range(10_500):
        served(strategy, f"other-{number}")
        if number % 900 == 0:
            served(strategy, "in use")
    weighed = count_weights(monkeypatch)
    served(strategy, "in use")
    assert weighed == []


def test_request_without_a_session_goes_anywhere() -> None:
    strategy = sticky()
    for session in (None, ""):
        drawn = [served(strategy, session) for _ in range(2000)]
        assert chi_square(drawn, 10) < CHI_SQUARE_9


def test_request_without_a_session_goes_anywhere_but_where_it_failed() -> None:
    strategy = sticky()
    drawn = [served(strategy, None, {TEN[0]}) for _ in range(2000)]
    assert set(drawn) == set(TEN[1:])
    assert chi_square(drawn, 9) < CHI_SQUARE_8
    assert served(strategy, None, TEN[1:]) == TEN[0]
    assert served(strategy, None, TEN) is None
    assert served(sticky([]), None) is None


def test_withdrawn_model_serves_nobody() -> None:
    strategy = sticky(TEN[:3])
    strategy.withdraw(member(TEN[0]))
    strategy.withdraw(member(TEN[2]))
    assert {served(strategy, session) for session in (None, "a", "b", "c")} == {TEN[1]}
    strategy.withdraw(member(TEN[1]))
    assert served(strategy, "a") is None


def test_session_has_one_model_for_every_kind_of_request() -> None:
    rig = Rig(*TEN, policy=RotationPolicy(selection=SessionSticky))
    kinds = [
        CompletionRequest(CHAT, session="a"),
        CompletionRequest(CHAT, session="a", input_tokens=9000),
        CompletionRequest(TEXT, session="a"),
        CompletionRequest(CHAT, frozenset({"vision"}), session="a"),
    ]
    assert len({rig.router.select(request).model.id for request in kinds}) == 1
