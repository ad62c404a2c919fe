"""A view says what the router says, whatever has happened."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router import (
    CapabilityRouter,
    CompletionRequest,
    EventType,
    FailureKind,
    Model,
    NoAvailableModelError,
    Outcome,
    UnknownModelError,
    Why,
)
from capability_router.engine.lease import Lease
from capability_router.testing.clock import ManualClock
from capability_router.watching.sources import RouterSource
from capability_router.watching.view import View
from capability_router.watching.wording import ago, event_words, from_now, why_words
from tests.watching.seen import Told, decision, event, told_by_router, told_by_view, viewed

CAPABILITIES: tuple[str, ...] = ("chat-completion", "code-generation")
POOLS = ("text", "chat")
steps = st.one_of(
    st.tuples(st.just("register"), st.integers(0, 4)),
    st.tuples(st.just("unregister"), st.integers(0, 4)),
    st.tuples(st.just("select"), st.integers(0, 1)),
    st.tuples(st.just("report"), st.none() | st.sampled_from(FailureKind)),
    st.tuples(st.just("advance"), st.sampled_from([0.5, 3.0, 61.0, 700.0])),
    st.tuples(st.just("deactivate"), st.integers(0, 4)),
    st.tuples(st.just("recover"), st.integers(0, 4)),
)


class Played:
    """A router under a random hand, and views of it that began at different moments."""

    def __init__(self, *, is_seen_from_the_start: bool = False) -> None:
        self.clock = ManualClock(now=5000.0)
        self.router = CapabilityRouter(clock=self.clock, seed=3)
        self.source, self.view = RouterSource(self.router), View()
        if is_seen_from_the_start:
            self.told()
        self.leases: list[Lease] = []
        self.router.add_pool("text", "text-generation")
        self.router.add_pool("chat", "chat-completion")
        for number in range(3):
            self.play("register", number)

    def play(self, step: str, value: Any) -> None:
        match step:
            case "register" if not self.knows(value):
                self.router.register(
                    Model(f"{'ab'[value % 2]}/{value}", CAPABILITIES[: 1 + value % 2])
                )
            case "select":
                self.select(CAPABILITIES[int(value)])
            case "report" if self.leases:
                ended = Outcome.success() if value is None else Outcome.failed(value)
                self.router.report(self.leases.pop(0), ended)
            case "advance":
                self.clock.advance(value)
            case "unregister" | "deactivate" | "recover" if self.knows(value):
                getattr(self.router, step)(f"{'ab'[value % 2]}/{value}")
            case _:
                pass

    def knows(self, number: int) -> bool:
        try:
            return bool(self.router.model(f"{'ab'[number % 2]}/{number}"))
        except UnknownModelError:
            return False

    def select(self, capability: str) -> None:
        try:
            self.leases.append(self.router.select(CompletionRequest(capability)))
        except NoAvailableModelError:
            self.clock.advance(1.0)

    def told(self) -> dict[str, Told]:
        # Before the view is fed: looking lets the router do what its clock demands.
        pools = [pool.name for pool in self.router.pools]
        told = {pool: told_by_router(self.router, pool) for pool in pools}
        for record in self.source.poll():
            self.view.take(record)
        return told

    def health(self) -> dict[str, str]:
        """Return the providers that are not healthy."""
        found = {each: str(self.router.provider_health(each)) for each in "ab"}
        return {name: health for name, health in found.items() if health != "healthy"}

    def seen_health(self) -> dict[str, str]:
        found = {name: each.health for name, each in self.view.providers.items()}
        return {name: health for name, health in found.items() if health != "healthy"}

    def seen(self) -> dict[str, Told]:
        return {pool: told_by_view(self.view, pool) for pool in POOLS}


@given(st.lists(steps, max_size=40), st.integers(0, 40))
def test_a_view_says_what_the_router_says(taken: list[tuple[str, Any]], first_look: int) -> None:
    played = Played()
    for number, step in enumerate(taken):
        played.play(*step)
        if number == first_look:
            assert played.told() == played.seen()
    assert played.told() == played.seen()
    assert played.health() == played.seen_health()
    assert played.view.skipped == 0


@given(st.lists(steps, max_size=40))
def test_a_view_of_all_events_needs_no_other_state(taken: list[tuple[str, Any]]) -> None:
    played = Played(is_seen_from_the_start=True)
    assert played.view.pools == {}
    for step in taken:
        played.play(*step)
    assert played.told() == played.seen()


def test_events_that_were_dropped_are_made_up_for() -> None:
    played = Played()
    played.told()
    for _ in range(6000):
        played.router.deactivate("a/0")
        played.router.recover("a/0")
    played.router.deactivate("b/1")
    assert played.told() == played.seen()
    assert played.health() == played.seen_health() == {"b": "down"}


def test_closing_a_source_ends_its_subscription() -> None:
    played = Played()
    played.source.poll()
    played.source.close()
    played.router.deactivate("a/0")
    assert played.source.poll() == []


def test_an_event_that_comes_late_changes_nothing() -> None:
    left = event("model_deactivated", at=5.0, reason="rate_limited", until=9.0)
    back = event("model_activated", at=6.0)
    assert told_by_view(viewed(left, back), "text") == told_by_view(viewed(back, left), "text")


def test_an_event_after_the_machine_was_started_anew_counts() -> None:
    view = viewed(event("model_activated", at=90_000.0), event("model_deactivated", at=3.0))
    assert view.pools["text"].members["a/1"].state == "standby"


def test_the_end_of_a_standby_is_told_by_the_calendar() -> None:
    view = viewed(event("model_deactivated", at=50.0, reason="rate_limited", until=80.0))
    standing = view.pools["text"].members["a/1"]
    assert (standing.since, standing.until) == (1050.0, 1080.0)


def test_a_spared_model_is_active_and_says_why() -> None:
    view = viewed(event("model_spared", reason="error_threshold", until=30.0))
    standing = view.pools["text"].members["a/1"]
    assert (standing.state, standing.spared, standing.reason) == ("active", True, "error_threshold")


def test_a_pool_is_closed_for_longer_and_opened_again() -> None:
    closed = event("pool_closed", model="", reason="request_limit", until=60.0)
    longer = event("standby_extended", model="", reason="request_limit", until=90.0)
    view = viewed(closed, longer)
    assert (view.pools["text"].closed, view.pools["text"].closed_until) == ("request_limit", 1090.0)
    view.take(event("pool_opened", model="", at=90.0))
    assert view.pools["text"].closed == ""


def test_a_model_that_left_a_pool_is_in_it_no_more() -> None:
    joined = event("pool_membership_changed", reason="added")
    assert told_by_view(viewed(joined), "text") == {"a/1": ("active", "", None)}
    left = event("pool_membership_changed", reason="removed", at=1.0)
    assert told_by_view(viewed(joined, left), "text") == {}


def test_the_health_of_a_provider_is_followed() -> None:
    facts: dict[str, Any] = {"pool": "", "model": ""}
    down = event("provider_deactivated", reason="billing", details={"provider": "a"}, **facts)
    view = viewed(down)
    assert (view.providers["a"].health, view.providers["a"].reason) == ("down", "billing")
    changed = {"provider": "a", "from": "down", "to": "degraded"}
    view.take(event("provider_health_changed", details=changed, **facts))
    assert view.providers["a"].health == "degraded"
    for known, told in (({"health": "degraded"}, "degraded"), ({}, "healthy")):
        view.take(event("provider_recovered", details={"provider": "a"} | known, **facts))
        assert view.providers["a"].health == told


def test_a_model_counts_as_active_where_it_is_so_in_every_pool() -> None:
    joined = [event("pool_membership_changed", reason="added", model=m) for m in ("a/1", "b/2")]
    elsewhere = event("model_deactivated", pool="chat", reason="billing")
    view = viewed(*joined, elsewhere)
    assert view.counts() == {"active": 1, "standby": 1, "on_trial": 0}
    view.take(event("probe_started", pool="chat", at=1.0))
    assert view.counts() == {"active": 1, "standby": 0, "on_trial": 1}


def test_who_has_served_a_pool_is_in_it_although_no_event_told_so() -> None:
    router = CapabilityRouter(clock=ManualClock())
    router.register(Model("a/x", (CAPABILITIES[0],)))
    router.add_pool("chat", CAPABILITIES[0])
    router.call(CAPABILITIES[0], lambda model: model.name)
    told = router.decisions[0].as_dict()
    view = View()
    view.take({**told, "record": "decision"})
    assert {name: each.state for name, each in view.pools["chat"].members.items()} == {
        "a/x": "active"
    }


def test_attempts_are_counted_for_their_models() -> None:
    view = viewed(decision("b/2", ("a/1", "rate_limited"), ("c/3", "cancelled"), ("b/2", None)))
    counted = {model: (each.answers, each.failures) for model, each in view.tallies.items()}
    assert counted == {"a/1": (0, 1), "c/3": (0, 0), "b/2": (1, 0)}
    (row,) = view.decisions
    assert (row["served_by"], row["took_s"]) == ("b/2", None)


@pytest.mark.parametrize("later", [2, 1500])
def test_answers_before_and_while_it_is_watched_are_counted_once(later: int) -> None:
    router = CapabilityRouter()
    router.register(Model("a/1", CAPABILITIES))
    call(router, 3)
    source, view = RouterSource(router), View()
    for calls in (0, later):
        call(router, calls)
        for record in source.poll():
            view.take(record)
        assert view.tallies["a/1"].answers == router.state("a/1").successes


def call(router: CapabilityRouter, times: int) -> None:
    for _ in range(times):
        router.call("chat-completion", lambda model: model.id)


def test_a_decision_that_says_when_it_began_tells_how_long_it_took() -> None:
    view = viewed(decision("a/1", ("a/1", None), started_at=0.5))
    assert view.decisions[0]["took_s"] == 1.5


def test_a_decision_tells_who_could_have_served_and_why_others_could_not() -> None:
    candidates: list[dict[str, object]] = [
        {"model": "b/2", "state": "active", "obstacle": None, "score": 0.12345, "rank": 1},
        {"model": "c/3", "state": "active", "obstacle": None, "score": None, "rank": 2},
        {"model": "a/1", "state": "standby", "obstacle": "rate_limited", "rank": 0},
        {"model": "d/4", "state": "active", "obstacle": None, "score": 0.5, "rank": 3},
    ]
    choice = {
        "pool": "text",
        "node": "generation",
        "strategy": "cost-first",
        "why": "strategy",
        "model": "b/2",
        "candidates": candidates,
        "omitted": 2,
    }
    view = viewed(event("panic"), decision("b/2", ("b/2", None), choices=[choice]))
    _, row = view.whole_rows_after(-1)
    assert view.whole_rows_after(1) == [row]
    (told,) = cast("list[dict[str, Any]]", row["choices"])
    assert (told["pool"], told["model"], told["omitted"]) == ("text", "b/2", 2)
    assert [(each["model"], each["state"], each["words"]) for each in told["candidates"]] == [
        ("a/1", "standby", "rate_limited"),
        ("b/2", "active", "chosen: the strategy cost-first puts it first, score 0.1235"),
        ("c/3", "active", "could have served"),
        ("d/4", "active", "could have served, score 0.5"),
    ]
    assert [each["chosen"] for each in told["candidates"]] == [False, True, False, False]


def test_choices_and_candidates_are_shown_in_bounds() -> None:
    candidates = [{"model": f"a/{number}", "rank": number} for number in range(40)]
    choices = [{"pool": "text", "why": "nobody", "candidates": candidates}] * 10
    (row,) = viewed(decision(None, choices=choices)).whole_rows_after(-1)
    told = cast("list[dict[str, Any]]", row["choices"])
    assert (len(told), row["omitted_choices"]) == (8, 2)
    assert (len(told[0]["candidates"]), told[0]["omitted"]) == (32, 8)


@pytest.mark.parametrize("why", list(Why))
def test_every_way_to_be_chosen_has_words_of_its_own(why: Why) -> None:
    words = why_words(why, "priority", "generation")
    assert len(words.split()) > 1
    assert words != why_words("unheard of", "priority", "generation")


def test_a_way_to_be_chosen_that_is_not_known_tells_itself_as_it_is() -> None:
    assert why_words("by_lot {node.x}", "priority", "generation") == "by lot {node.x}"


def test_rows_are_kept_in_bounds_and_handed_out_once() -> None:
    view = View(kept=3)
    for number in range(5):
        view.take(event("model_rotated", at=float(number)))
    view.take(decision("a/1", ("a/1", None)))
    rows = view.rows_after(-1)
    assert [row["n"] for row in rows] == [3, 4, 5, 6]
    assert view.rows_after(5) == rows[-1:]
    assert view.rows_after(6) == []


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"record": "event", "type": "panic"},
        {"record": "event", "wall": 1.0},
        {"record": "event", "wall": 10**400, "type": "panic"},
        {"record": "event", "wall": True, "type": "panic"},
        {"record": "decision", "wall": 1.0},
        {"record": "weather", "wall": 1.0},
        {"record": ["event"], "wall": 1.0},
    ],
)
def test_what_is_no_record_is_skipped_and_counted(record: dict[str, object]) -> None:
    view = viewed(record)
    assert (view.skipped, view.revision, view.rows_after(-1)) == (1, 0, [])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FIELDS = (
    "type",
    "pool",
    "model",
    "at",
    "until",
    "reason",
    "details",
    "attempts",
    "choices",
    "pools",
    "models",
)


@given(
    st.sampled_from(["event", "decision", "state"]),
    st.sampled_from([*EventType, "pool_membership_changed", "provider_health_changed"]),
    st.dictionaries(st.sampled_from(FIELDS), json_values),
)
def test_no_record_can_break_a_view(kind: str, event_type: str, rest: dict[str, object]) -> None:
    view = View()
    view.take(
        {"record": kind, "wall": 1.0, "type": event_type, "capability": "c", "pool": "p"} | rest
    )
    assert view.state()["skipped"] in {0, 1}
    assert len(view.whole_rows_after(-1)) == view.revision - (kind == "state")


def test_what_a_terminal_would_obey_is_written_out() -> None:
    view = viewed(event("model_deactivated", reason="\x1b[2Jgone", model="a/\u202e1"))
    (model, standing), *_ = view.pools["text"].members.items()
    assert (model, standing.reason) == ("a/\\u202e1", "\\x1b[2Jgone")


def test_every_type_of_event_has_words_of_its_own() -> None:
    told = {kind: event_words(kind, "") for kind in EventType}
    missing = {str(kind) for kind, (_, words) in told.items() if words == kind.replace("_", " ")}
    assert missing == set()
    assert event_words("comet_seen", "") == ("plain", "comet seen")


@pytest.mark.parametrize(
    ("seconds", "past", "future"),
    [
        (0.4, "now", "due"),
        (12.7, "12 s ago", "in 12 s"),
        (119.0, "119 s ago", "in 119 s"),
        (125.0, "2 min ago", "in 2 min"),
        (7300.0, "2 h ago", "in 2 h"),
        (200_000.0, "2 d ago", "in 2 d"),
        (-3.0, "now", "due"),
    ],
)
def test_times_are_told_in_one_unit(seconds: float, past: str, future: str) -> None:
    assert (ago(seconds), from_now(seconds)) == (past, future)


def test_a_detail_that_says_nothing_is_left_out() -> None:
    details = {"added": ["a/1", "a/2"], "removed": []}
    view = viewed(event("models_updated", pool="", model="", details=details))
    assert view.events[-1]["details"] == {"added": "a/1, a/2"}
