"""A moderator over two lab providers, asked in both ways: what is judged, and what fails closed."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.exceptions import ModelError
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableConfig
from pydantic import ValidationError

from capability_router import (
    AllModelsFailedError,
    CapabilityRouter,
    FailureKind,
    Model,
    NoAvailableModelError,
    Provider,
    Secret,
    UnknownCapabilityError,
    UnknownPoolError,
)
from capability_router.lab import (
    Fault,
    Lab,
    bad_request,
    cut_stream,
    hang,
    html,
    malformed_chunk,
    overloaded,
    rate_limited,
    refused,
    reset,
    server_error,
    unauthorized,
)
from capability_router.testing.clock import ManualClock
from langchain_capability_router.moderation import (
    CapabilityModerator,
    FlaggedError,
    Moderation,
    ModerationInput,
)
from litellm_capability_router.host import load_litellm
from tests.answering import answering
from tests.connections import run
from tests.langchain.pools import through_litellm

K = FailureKind
Judge = Callable[[CapabilityModerator, ModerationInput], Moderation]

CLEAN, VIOLENT = "good day", "I will kill you"
SOUND = {"type": "audio", "base64": "AAAA", "mime_type": "audio/wav"}
PICTURE = {"type": "image", "url": "https://example.com/a.png"}


def router_of(*providers: Provider) -> CapabilityRouter:
    router = CapabilityRouter(providers=providers, clock=ManualClock(), seed=1)
    for provider in providers:
        router.register(Model(f"{provider.id}/judge", ("content-moderation",)))
    return router


def moderator_of(lab: Lab, **settings: object) -> CapabilityModerator:
    providers = [Provider(p.name, base_url=p.base_url, api_key=Secret("sesame")) for p in lab]
    return CapabilityModerator.model_validate({"router": router_of(*providers), **settings})


def invoke(moderator: CapabilityModerator, given: ModerationInput) -> Moderation:
    return moderator.invoke(given)


def ainvoke(moderator: CapabilityModerator, given: ModerationInput) -> Moderation:
    return run(moderator.ainvoke(given))


@pytest.fixture(params=[invoke, ainvoke], ids=["sync", "async"])
def judge(request: pytest.FixtureRequest) -> Judge:
    judge: Judge = request.param
    return judge


def in_flight(moderator: CapabilityModerator) -> list[int]:
    return [moderator.router.state(model.id).in_flight for model in moderator.router.models]


def test_text_is_judged_with_categories_scores_and_the_model_that_served(
    lab: Lab, judge: Judge
) -> None:
    found = judge(moderator_of(lab), f"{VIOLENT}, idiot")
    assert found.flagged
    assert found.categories == ("harassment", "violence")
    assert (found.scores["violence"], found.scores["self-harm/intent"]) == (0.99, 0.01)
    assert len(found.scores) == 13
    assert found.model == "alpha/judge"
    assert lab["alpha"].requests[0].body == {"model": "judge", "input": f"{VIOLENT}, idiot"}


def test_clean_text_is_not_flagged(lab: Lab, judge: Judge) -> None:
    found = judge(moderator_of(lab), CLEAN)
    assert (found.flagged, found.categories) == (False, ())
    assert max(found.scores.values()) == 0.01


INPUTS: dict[str, tuple[ModerationInput, object]] = {
    "a message": (HumanMessage(VIOLENT), VIOLENT),
    "messages": ([SystemMessage("Be kind."), HumanMessage(VIOLENT)], ["Be kind.", VIOLENT]),
    "pairs": ([("system", "Be kind."), ("user", VIOLENT)], ["Be kind.", VIOLENT]),
    "a prompt": (ChatPromptTemplate([("user", "{x}")]).invoke({"x": VIOLENT}), VIOLENT),
    "text in blocks": (HumanMessage([{"type": "text", "text": VIOLENT}, "!"]), f"{VIOLENT}\n!"),
    "an answer with tool calls": (
        [HumanMessage(VIOLENT), AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "1"}])],
        VIOLENT,
    ),
}


@pytest.mark.parametrize(("given", "sent"), INPUTS.values(), ids=INPUTS)
def test_every_message_is_judged_in_one_request(
    lab: Lab, judge: Judge, given: ModerationInput, sent: object
) -> None:
    found = judge(moderator_of(lab), given)
    assert (found.flagged, found.categories) == (True, ("violence",))
    (request,) = lab["alpha"].requests
    assert request.body == {"model": "judge", "input": sent}


def test_picture_is_judged_together_with_the_text(lab: Lab, judge: Judge) -> None:
    found = judge(moderator_of(lab), HumanMessage([{"type": "text", "text": VIOLENT}, PICTURE]))
    assert found.flagged
    (request,) = lab["alpha"].requests
    assert request.body is not None
    assert request.body["input"] == [
        {"type": "text", "text": VIOLENT},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]


def test_models_that_see_no_pictures_are_not_asked_about_them(lab: Lab, judge: Judge) -> None:
    moderator = moderator_of(lab)
    moderator.router.unregister("alpha/judge")
    moderator.router.register(
        Model("alpha/blind", ("content-moderation",), features=frozenset({"streaming"}))
    )
    assert judge(moderator, HumanMessage([PICTURE])).model == "beta/judge"
    assert lab["alpha"].request_count == 0


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("", "neither text nor picture"),
        ([], "neither text nor picture"),
        (AIMessage(""), "neither text nor picture"),
        (HumanMessage([SOUND]), "'input_audio' cannot be judged"),
        ({"text": VIOLENT}, "a text, messages or a prompt, not a dict"),
        (3, "a text, messages or a prompt, not a int"),
    ],
)
def test_what_cannot_be_judged_is_an_error_and_nobody_is_asked(
    lab: Lab, judge: Judge, given: Any, told: str
) -> None:
    with pytest.raises((ValueError, TypeError), match=told):
        judge(moderator_of(lab), given)
    assert lab["alpha"].request_count == 0


FAULTS: dict[str, tuple[Fault, FailureKind]] = {
    "500": (server_error(), K.SERVER_ERROR),
    "503": (overloaded(), K.OVERLOADED),
    "429": (rate_limited(retry_after=7), K.RATE_LIMITED),
    "401": (unauthorized(), K.AUTH),
    "refused": (refused(), K.CONNECTION),
    "reset": (reset(), K.CONNECTION),
    "web page": (html(), K.PROTOCOL),
    "broken JSON": (malformed_chunk(0), K.PROTOCOL),
    "cut body": (cut_stream(0, "close"), K.PROTOCOL),
}


@pytest.mark.parametrize(("fault", "kind"), FAULTS.values(), ids=FAULTS)
def test_first_request_is_judged_by_the_second_model_after_one_wasted_call(
    lab: Lab, judge: Judge, fault: Fault, kind: FailureKind
) -> None:
    lab["alpha"].fault = fault
    moderator = moderator_of(lab)
    found = judge(moderator, VIOLENT)
    assert (found.flagged, found.model) == (True, "beta/judge")
    assert lab["alpha"].request_count == (0 if fault == refused() else 1)
    assert lab["beta"].request_count == 1
    (decision,) = moderator.router.decisions
    assert decision.attempts[0].kind is kind
    assert in_flight(moderator) == [0, 0]


@pytest.mark.parametrize(("fault", "kind"), FAULTS.values(), ids=FAULTS)
def test_no_fault_of_every_model_makes_a_clean_judgement(
    lab: Lab, judge: Judge, fault: Fault, kind: FailureKind
) -> None:
    lab["alpha"].fault = lab["beta"].fault = fault
    moderator = moderator_of(lab)
    with pytest.raises(AllModelsFailedError) as caught:
        judge(moderator, CLEAN)
    assert isinstance(caught.value, ModelError)
    assert [attempt.kind for attempt in caught.value.attempts] == [kind, kind]
    assert caught.value.is_retryable is (kind is not K.AUTH)
    assert "sesame" not in f"{caught.value!r} {caught.value}"
    assert in_flight(moderator) == [0, 0]


def result(**changed: object) -> dict[str, object]:
    told = {"flagged": False, "categories": {"hate": False}, "category_scores": {"hate": 0.1}}
    return {**told, **changed}


def judged(results: object) -> dict[str, object]:
    return {"id": "m", "model": "judge", "results": results}


# OpenAI's client warns of what it did not expect, and goes on.
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")
@pytest.mark.parametrize(
    "answer",
    [
        {},
        judged(None),
        judged([]),
        judged([result()]),
        judged([result(), result(), result()]),
        judged([result(), {}]),
        judged([result(), result(flagged=None)]),
        judged([result(), result(categories=None)]),
        judged([result(), result(category_scores={"hate": "high"})]),
        judged("none"),
        [],
        "fine",
        None,
    ],
)
def test_answer_that_judges_not_everything_is_a_failure_of_its_model(
    lab: Lab, judge: Judge, answer: object
) -> None:
    with answering(answer) as url:
        beta = Provider("beta", base_url=lab["beta"].base_url)
        router = router_of(Provider("odd", base_url=url), beta)
        found = judge(CapabilityModerator(router=router), [("user", CLEAN), ("user", VIOLENT)])
    assert (found.flagged, found.model) == (True, "beta/judge")
    (decision,) = router.decisions
    assert [attempt.kind for attempt in decision.attempts] == [K.PROTOCOL, None]


@pytest.mark.parametrize(
    ("told", "categories"),
    [
        (result(flagged=True), ()),
        (result(categories={"hate": True}), ("hate",)),
        (result(flagged=True, categories={"self-harm/intent": True}), ("self-harm/intent",)),
    ],
)
def test_any_sign_of_a_flag_is_a_flag(
    judge: Judge, told: dict[str, object], categories: tuple[str, ...]
) -> None:
    with answering(judged([told])) as url:
        found = judge(CapabilityModerator(router=router_of(Provider("odd", base_url=url))), CLEAN)
    assert (found.flagged, found.categories) == (True, categories)
    assert found.scores["hate"] == 0.1


def test_model_that_hangs_is_left_after_its_timeout(lab: Lab, judge: Judge) -> None:
    lab["alpha"].fault = hang()
    moderator = moderator_of(lab, timeout=0.2)
    load_litellm()
    began = time.monotonic()
    assert judge(moderator, VIOLENT).model == "beta/judge"
    assert time.monotonic() - began < 5
    (decision,) = moderator.router.decisions
    assert decision.attempts[0].kind is K.TIMEOUT
    assert in_flight(moderator) == [0, 0]


def test_refusal_of_the_request_is_the_providers_own_error_after_one_call(
    lab: Lab, judge: Judge
) -> None:
    lab["alpha"].fault = bad_request()
    with pytest.raises(Exception, match="Invalid value in the request") as caught:
        judge(moderator_of(lab), CLEAN)
    assert getattr(caught.value, "status_code", None) == 400
    assert (lab["alpha"].request_count, lab["beta"].request_count) == (1, 0)


def test_empty_pool_is_said_to_have_no_model(lab: Lab, judge: Judge) -> None:
    moderator = moderator_of(lab)
    for model in moderator.router.models:
        moderator.router.deactivate(model.id)
    with pytest.raises(NoAvailableModelError):
        judge(moderator, CLEAN)


def test_vendor_without_this_api_is_passed_over_and_blamed_for_nothing(
    lab: Lab, judge: Judge
) -> None:
    beta = Provider("beta", base_url=lab["beta"].base_url)
    router = router_of(Provider("groq", api_key=Secret("sesame")), beta)
    assert judge(CapabilityModerator(router=router), CLEAN).model == "beta/judge"
    assert router.state("groq/judge").consecutive_failures == 0
    (decision,) = router.decisions
    assert decision.attempts[0].kind is K.UNSUPPORTED


def test_cancelled_call_leaves_nothing_in_flight(lab: Lab) -> None:
    lab["alpha"].fault = hang()
    moderator = moderator_of(lab)

    async def cancel() -> None:
        task = asyncio.create_task(moderator.ainvoke(CLEAN))
        await asyncio.to_thread(lab["alpha"].wait_for_requests, 1)
        assert in_flight(moderator) == [1, 0]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(cancel())
    assert in_flight(moderator) == [0, 0]
    assert moderator.router.state("alpha/judge").consecutive_failures == 0
    assert lab["beta"].request_count == 0


def test_batch_judges_each_input_by_itself(lab: Lab) -> None:
    moderator = moderator_of(lab)
    one_at_a_time = RunnableConfig(max_concurrency=1)
    expected = [False, True, False]
    found = moderator.batch([CLEAN, VIOLENT, CLEAN], one_at_a_time)
    assert [moderation.flagged for moderation in found] == expected
    found = run(moderator.abatch([CLEAN, VIOLENT, CLEAN]))
    assert [moderation.flagged for moderation in found] == expected
    assert lab["alpha"].request_count + lab["beta"].request_count == 6


def test_guard_passes_clean_input_to_the_chat_model_as_it_is(lab: Lab) -> None:
    chain = (
        ChatPromptTemplate([("user", "{text}")]) | moderator_of(lab).guard() | through_litellm(lab)
    )
    assert chain.invoke({"text": CLEAN}).text == f"alpha echoes: {CLEAN}"
    assert run(chain.ainvoke({"text": CLEAN})).text == f"alpha echoes: {CLEAN}"


def test_guard_keeps_flagged_input_from_the_chat_model(lab: Lab) -> None:
    chain = moderator_of(lab).guard() | through_litellm(lab)
    with pytest.raises(FlaggedError, match="flagged by alpha/judge: violence") as caught:
        chain.invoke(VIOLENT)
    with pytest.raises(FlaggedError):
        run(chain.ainvoke(VIOLENT))
    assert caught.value.moderation.categories == ("violence",)
    assert VIOLENT not in str(caught.value)
    assert {request.path for request in lab["alpha"].requests} == {"/v1/moderations"}


def test_guard_lets_nothing_through_when_no_model_judges(lab: Lab) -> None:
    chain = moderator_of(lab).guard() | through_litellm(lab)
    lab["alpha"].script(server_error())
    lab["beta"].script(server_error())
    with pytest.raises(AllModelsFailedError):
        chain.invoke(CLEAN)
    assert (lab["alpha"].request_count, lab["beta"].request_count) == (1, 1)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"capability": "content-moderator"}, UnknownCapabilityError),
        ({"pool": "no-such-pool"}, UnknownPoolError),
        ({"timeout": 0}, ValidationError),
        ({"model": "x"}, ValidationError),
    ],
)
def test_wrong_setting_is_refused_before_the_first_request(
    lab: Lab, settings: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        moderator_of(lab, **settings)


def test_moderator_can_be_described_without_its_secrets(lab: Lab) -> None:
    moderator = moderator_of(lab)
    assert "sesame" not in f"{moderator!r} {moderator.model_dump()} {moderator.to_json()}"
    assert moderator.get_graph().nodes
