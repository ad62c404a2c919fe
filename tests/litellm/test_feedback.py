"""What each attempt tells the pools: once, and all of it, in every place and on every surface."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import litellm
import pytest
from litellm.integrations.custom_logger import CustomLogger

from capability_router import EventType, FailureKind, Limit, Price, Unit
from capability_router.lab import Lab, rate_limited, server_error
from tests.connections import connections, run
from tests.litellm.desks import LISTED_USD, SPOKEN, TICK_S, Desk, asked, is_stream
from tests.litellm.surfaces import PLACES, QUESTION, Surface


@pytest.fixture
def lab() -> Iterator[Lab]:
    # The lab ends after the connections to it.
    with Lab(["alpha", "beta"], answers="echo") as lab, connections():
        yield lab


@pytest.fixture
def desk(lab: Lab, place: Any) -> Desk:
    return Desk(lab, place)


def test_one_failed_and_one_served_attempt_are_counted_once_each(desk: Desk, ask: Surface) -> None:
    desk.lab["alpha"].script(rate_limited(retry_after=7))
    assert "beta" in asked(desk, ask)
    alpha, beta = desk.state("alpha"), desk.state("beta")
    assert desk.calls() == [1, 1]
    assert (alpha.successes, alpha.failures) == (0, 1)
    assert (beta.successes, beta.failures) == (1, 0)
    assert (alpha.input_tokens, alpha.output_tokens, alpha.cost_usd) == (0, 0, 0)
    assert (beta.input_tokens, beta.output_tokens) == SPOKEN
    assert beta.cost_usd == LISTED_USD
    assert desk.in_flight() == [0, 0]


def test_time_to_the_end_and_to_the_first_token_are_measured(desk: Desk, ask: Surface) -> None:
    asked(desk, ask)
    alpha = desk.state("alpha")
    assert alpha.latency_s == alpha.latency_total_s > 0
    if is_stream(ask):
        assert 0 < alpha.first_token_s < alpha.latency_s
    else:
        assert alpha.first_token_s == 0


def test_retry_after_is_when_the_model_comes_back(desk: Desk, ask: Surface) -> None:
    desk.lab["alpha"].script(rate_limited(retry_after=7))
    before = desk.clock.now()
    asked(desk, ask)
    (resting,) = desk.router.pool("chat-completion").get_standby()
    assert resting.model == "alpha/gpt-4o-mini"
    assert resting.until is not None
    assert 7 <= resting.until - before < 7 + 100 * TICK_S


def test_strategy_learns_of_every_attempt_once(desk: Desk, ask: Surface) -> None:
    desk.lab["alpha"].script(rate_limited(retry_after=7))
    asked(desk, ask)
    (failed, how), (served, outcome) = desk.learnt
    assert (failed, served) == ("alpha/gpt-4o-mini", "beta/gpt-4o-mini")
    assert how.failure is not None
    assert (how.failure.kind, how.failure.retry_after_s) == (FailureKind.RATE_LIMITED, 7)
    assert outcome.failure is None
    assert (outcome.usage.input_tokens, outcome.usage.output_tokens) == SPOKEN


def test_each_transition_is_one_event(desk: Desk, ask: Surface) -> None:
    desk.lab["alpha"].script(rate_limited(retry_after=7))
    asked(desk, ask)
    assert [(event.type, event.model) for event in desk.events if event.pool] == [
        (EventType.POOL_MEMBERSHIP_CHANGED, "alpha/gpt-4o-mini"),
        (EventType.POOL_MEMBERSHIP_CHANGED, "beta/gpt-4o-mini"),
        (EventType.MODEL_DEACTIVATED, "alpha/gpt-4o-mini"),
        (EventType.MODEL_ROTATED, "beta/gpt-4o-mini"),
    ]


def test_all_attempts_of_a_call_that_fails_are_counted_once(desk: Desk, ask: Surface) -> None:
    for provider in desk.lab:
        provider.fault = server_error()
    with pytest.raises(litellm.ServiceUnavailableError):
        asked(desk, ask)
    states = [desk.state(provider.name) for provider in desk.lab]
    assert [(state.successes, state.failures) for state in states] == [(0, 1), (0, 1)]
    assert [model for model, _ in desk.learnt] == ["alpha/gpt-4o-mini", "beta/gpt-4o-mini"]
    assert desk.in_flight() == [0, 0]


class Breaking(CustomLogger):
    """A callback that fails wherever LiteLLM calls it."""

    def __init__(self) -> None:
        super().__init__()
        self.called = 0

    def _break(self, *_: Any, **__: Any) -> None:
        self.called += 1
        raise RuntimeError("the callback is broken")

    async def _abreak(self, *_: Any, **__: Any) -> None:
        self._break()

    log_pre_api_call = log_success_event = log_failure_event = _break
    async_log_success_event = async_log_failure_event = _abreak


def test_broken_callback_of_litellm_changes_nothing_of_what_is_counted(
    desk: Desk, ask: Surface, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Breaking()
    monkeypatch.setattr(litellm, "callbacks", [broken])
    desk.lab["alpha"].script(server_error())
    assert "beta" in asked(desk, ask)
    alpha, beta = desk.state("alpha"), desk.state("beta")
    assert (alpha.failures, beta.successes) == (1, 1)
    assert broken.called
    assert desk.in_flight() == [0, 0]


def test_retries_that_litellm_has_for_the_whole_process_repeat_no_attempt(
    desk: Desk, ask: Surface, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(litellm, "num_retries", 2)
    desk.lab["alpha"].fault = server_error()
    assert "beta" in asked(desk, ask)
    assert desk.calls() == [1, 1]


@pytest.mark.parametrize("name", ["responses", "aresponses"])
def test_nor_do_they_at_the_responses_endpoint(
    lab: Lab, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(lab, PLACES["Router"])
    monkeypatch.setattr(litellm, "num_retries", 2)
    lab["alpha"].fault = server_error()
    answer = getattr(desk.host, name)(model="chat-completion", input="count to three")
    answer = answer if name == "responses" else run(answer)
    assert "beta" in answer.output[0].content[0].text
    assert desk.calls() == [1, 1]
    assert desk.state("beta").cost_usd == LISTED_USD


def test_price_of_a_models_own_goes_before_what_litellm_lists(
    lab: Lab, place: Any, ask: Surface
) -> None:
    desk = Desk(lab, place, facts={"price": Price(input=1, output=10)})
    asked(desk, ask)
    assert desk.state("alpha").cost_usd == pytest.approx((3 * 1 + 5 * 10) / 1e6)
    assert desk.learnt[0][1].usage.cost_usd in ([None] if is_stream(ask) else [None, LISTED_USD])


def test_model_that_nobody_has_a_price_of_costs_nothing_that_is_known(
    lab: Lab, place: Any, ask: Surface
) -> None:
    desk = Desk(lab, place, name="priced-by-nobody")
    asked(desk, ask)
    assert desk.learnt[0][1].usage.cost_usd is None
    assert desk.state("alpha").cost_usd == 0
    assert (desk.state("alpha").input_tokens, desk.state("alpha").output_tokens) == SPOKEN


def test_budget_of_a_model_without_a_price_is_used_up(lab: Lab, place: Any, ask: Surface) -> None:
    budget = (Limit(Unit.USD, 0.000004, window_s=60.0),)
    desk = Desk(lab, place, facts={"limits": budget})
    # The first answer leaves less than nothing of what the second one would have needed.
    answers = [asked(desk, ask) for _ in range(3)]
    assert [next(p.name for p in lab if p.name in answer) for answer in answers] == [
        "alpha",
        "alpha",
        "beta",
    ]


@pytest.mark.parametrize("name", ["image_generation", "aimage_generation"])
def test_pictures_cost_what_litellm_says(lab: Lab, place: Any, name: str) -> None:
    desk = Desk(lab, place, name="gpt-image-1", leaf="text-to-image")
    answer = getattr(desk.host, name)(model="text-to-image", prompt="a sun")
    answer = run(answer) if name.startswith("a") else answer
    alpha = desk.state("alpha")
    assert alpha.cost_usd == answer._hidden_params["response_cost"] > 0.01
    assert alpha.output_tokens == answer.usage.output_tokens > 0


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_messages_of_anthropic_are_counted_and_priced(lab: Lab, streamed: bool) -> None:
    desk = Desk(lab, PLACES["Router"], name="claude-sonnet-4-5", vendor="anthropic")

    async def talk() -> None:
        answer = await desk.host.aanthropic_messages(
            model="chat-completion", messages=QUESTION, max_tokens=20, stream=streamed
        )
        if streamed:
            assert [event async for event in answer]

    run(talk())
    alpha = desk.state("alpha")
    assert (alpha.input_tokens, alpha.output_tokens) == SPOKEN
    assert alpha.cost_usd == pytest.approx((3 * 3 + 5 * 15) / 1e6)


def test_streamed_response_is_counted_and_priced(lab: Lab) -> None:
    desk = Desk(lab, PLACES["Router"])
    events = desk.host.responses(model="chat-completion", input="count to three", stream=True)
    assert list(events)
    alpha = desk.state("alpha")
    assert (alpha.input_tokens, alpha.output_tokens) == SPOKEN
    assert alpha.cost_usd == LISTED_USD
