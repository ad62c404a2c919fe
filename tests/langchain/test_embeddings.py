"""Embeddings over lab providers: failover within one vector space, and never beyond it."""

import asyncio
import gc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from threading import Barrier

import pytest
from langchain_core.embeddings import Embeddings
from langchain_core.exceptions import ModelError
from pydantic import ValidationError

from capability_router import (
    AllModelsFailedError,
    CapabilityRouter,
    Model,
    UnknownCapabilityError,
    UnknownModelError,
    UnknownPoolError,
)
from capability_router.lab import (
    Fault,
    Lab,
    bad_request,
    hang,
    html,
    ok,
    overloaded,
    rate_limited,
    refused,
    reset,
    server_error,
    unauthorized,
)
from capability_router.testing.clock import ManualClock
from langchain_capability_router import CapabilityRouterEmbeddings
from tests.connections import close_now, run
from tests.langchain.embedding import (
    BATCHES,
    BUILDS,
    KEY,
    LEAF,
    TEXTS,
    WAYS,
    Ask,
    Build,
    Telling,
    Vectors,
    asked,
    at_rest,
    attempts,
    documents,
    hashed,
    openai_embeddings,
    router_with,
    through_litellm,
    through_own_models,
)


@pytest.fixture(params=list(BUILDS.values()), ids=list(BUILDS))
def build(request: pytest.FixtureRequest) -> Build:
    build: Build = request.param
    return build


@pytest.fixture(params=list(WAYS.values()), ids=list(WAYS))
def ask(request: pytest.FixtureRequest) -> Ask:
    ask: Ask = request.param
    return ask


@pytest.fixture(params=list(BATCHES.values()), ids=list(BATCHES))
def ask_all(request: pytest.FixtureRequest) -> Ask:
    ask: Ask = request.param
    return ask


def test_each_text_gets_its_vector_in_order(lab: Lab, build: Build, ask: Ask) -> None:
    embeddings = build(router_with(lab))
    vectors = ask(embeddings, TEXTS)
    assert vectors == hashed(TEXTS)
    assert {type(number) for vector in vectors for number in vector} == {float}
    assert lab["beta"].request_count == 0
    assert at_rest(embeddings)


# The clients of both libraries repeat a request on a connection that broke before an answer.
FAULTS: dict[str, tuple[Fault, set[str]]] = {
    "500": (server_error(), {"server_error"}),
    "503": (overloaded(), {"overloaded"}),
    "429": (rate_limited(retry_after=7), {"rate_limited"}),
    "401": (unauthorized(), {"auth"}),
    "refused": (refused(), {"connection"}),
    "reset": (reset(), {"connection"}),
    # LiteLLM keeps nothing of an answer that it cannot read.
    "web page": (html(), {"protocol", "connection"}),
}


@pytest.mark.parametrize(("fault", "kinds"), FAULTS.values(), ids=FAULTS)
def test_second_model_embeds_the_first_text_when_the_first_fails(
    lab: Lab, build: Build, ask: Ask, fault: Fault, kinds: set[str]
) -> None:
    lab["alpha"].fault = fault
    embeddings = build(router_with(lab))
    assert ask(embeddings, TEXTS[:1]) == hashed(TEXTS[:1])
    (first, kind), second = attempts(embeddings)
    assert (first, second) == ("alpha/e5", ("beta/e5", None))
    assert kind in kinds
    assert at_rest(embeddings)


def test_refusal_of_the_texts_is_the_providers_own_error_after_one_request(
    lab: Lab, build: Build, ask: Ask
) -> None:
    lab["alpha"].fault = bad_request()
    embeddings = build(router_with(lab))
    with pytest.raises(Exception, match="Invalid value in the request") as caught:
        ask(embeddings, TEXTS)
    assert getattr(caught.value, "status_code", None) == 400
    assert (lab["alpha"].request_count, lab["beta"].request_count) == (1, 0)
    assert embeddings.router.state("alpha/e5").consecutive_failures == 0
    assert at_rest(embeddings)


def test_failure_of_every_model_is_one_error_with_each_attempt(
    lab: Lab, build: Build, ask: Ask
) -> None:
    lab["alpha"].fault, lab["beta"].fault = server_error(), rate_limited(retry_after=7)
    with pytest.raises(AllModelsFailedError) as caught:
        ask(build(router_with(lab)), TEXTS)
    error = caught.value
    assert isinstance(error, ModelError)
    assert error.is_retryable
    assert [attempt.status for attempt in error.attempts] == [500, 429]
    assert error.__cause__ is error.attempts[-1].error is not None


def test_no_texts_ask_nobody(lab: Lab, build: Build, ask_all: Ask) -> None:
    assert ask_all(build(router_with(lab)), []) == []
    assert lab["alpha"].request_count == 0


def test_many_texts_go_out_in_chunks_and_come_back_in_order(
    lab: Lab, build: Build, ask_all: Ask
) -> None:
    texts = [f"text {number}" for number in range(5)]
    assert ask_all(build(router_with(lab), chunk_size=2), texts) == hashed(texts)
    assert asked(lab["alpha"]) == [texts[:2], texts[2:4], texts[4:]]


def test_provider_gets_no_more_texts_at_once_than_every_one_takes(lab: Lab) -> None:
    documents(through_litellm(router_with(lab)), ["text"] * 97)
    assert asked(lab["alpha"]) == [["text"] * 96, ["text"]]


def test_next_model_goes_on_where_the_first_one_broke_off(
    lab: Lab, build: Build, ask_all: Ask
) -> None:
    lab["alpha"].script(ok(), server_error(), server_error())
    embeddings = build(router_with(lab), chunk_size=1)
    assert ask_all(embeddings, TEXTS) == hashed(TEXTS)
    assert asked(lab["beta"])[0] == TEXTS[1:2]
    assert at_rest(embeddings)


def test_tokens_reach_the_router(lab: Lab, ask_all: Ask) -> None:
    embeddings = through_litellm(router_with(lab), chunk_size=2)
    ask_all(embeddings, TEXTS)
    assert embeddings.router.state("alpha/e5").input_tokens == 6


def test_request_says_what_is_needed_and_nothing_else(lab: Lab, ask_all: Ask) -> None:
    ask_all(through_litellm(router_with(lab)), TEXTS)
    (request,) = lab["alpha"].requests
    assert request.path == "/v1/embeddings"
    assert request.body is not None
    assert {**request.body, "encoding_format": None} == {
        "model": "e5",
        "input": TEXTS,
        "encoding_format": None,
    }


def test_dimensions_are_asked_of_every_model(lab: Lab, ask: Ask) -> None:
    lab["alpha"].fault = server_error()
    embeddings = through_litellm(router_with(lab), dimensions=16)
    assert ask(embeddings, TEXTS) == hashed(TEXTS, 16)
    assert {request.body["dimensions"] for request in lab["beta"].requests if request.body} == {16}


# Own embedding models.


def own(
    meanwhile: Callable[[], None] = lambda: None,
    clock: ManualClock | None = None,
    **settings: object,
) -> CapabilityRouterEmbeddings:
    router = CapabilityRouter(clock=clock or ManualClock(), seed=1)
    router.register(Model("own/e5", (LEAF,)))
    return through_litellm(router, models={"own/e5": Telling(meanwhile)}, **settings)


def test_own_model_embeds_queries_in_its_own_way() -> None:
    embeddings = own()
    assert embeddings.embed_documents(["abc"]) == [[0.0, 3.0]]
    assert embeddings.embed_query("abc") == [1.0, 3.0]
    assert run(embeddings.aembed_documents(["abc"])) == [[0.0, 3.0]]
    assert run(embeddings.aembed_query("abc")) == [1.0, 3.0]


def test_own_model_and_one_of_litellm_stand_in_for_each_other(lab: Lab, ask: Ask) -> None:
    router = router_with(lab)
    models: dict[str, Embeddings] = {"alpha/e5": openai_embeddings(lab["alpha"].base_url)}
    embeddings = CapabilityRouterEmbeddings(router=router, models=models)
    first = ask(embeddings, TEXTS)
    lab["alpha"].stop()
    assert ask(embeddings, TEXTS) == [pytest.approx(vector, abs=1e-6) for vector in first]
    assert attempts(embeddings)[-1] == ("beta/e5", None)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_event_loop_that_is_over_leaves_no_trace(lab: Lab, build: Build) -> None:
    embeddings = build(router_with(lab))

    async def ask_four(*, last: bool) -> Vectors:
        found = await asyncio.gather(*[embeddings.aembed_query("x") for _ in range(4)])
        if last:
            await close_now()
        return list(found)

    for last in (False, False, True):
        assert asyncio.run(ask_four(last=last)) == hashed(["x"]) * 4
    # The connections of the loops that are over; nobody could close them any more.
    gc.collect()
    assert embeddings.router.state("alpha/e5").failures == 0


def test_several_event_loops_may_ask_an_own_model_at_once(lab: Lab) -> None:
    embeddings = through_own_models(router_with(lab), timeout=10.0)
    all_there, all_done = Barrier(3), Barrier(3)

    async def ask(number: int) -> Vectors:
        # The first asks before the others do, so that it has connections they must not touch.
        found = await ten() if number == 0 else []
        await asyncio.to_thread(all_there.wait, 10)
        for _ in range(5):
            found += await ten()
        await asyncio.to_thread(all_done.wait, 30)
        if number == 0:
            await close_now()
        return found

    async def ten() -> Vectors:
        return list(await asyncio.gather(*[embeddings.aembed_query("x") for _ in range(10)]))

    with ThreadPoolExecutor(3) as threads:
        asking = [threads.submit(copy_context().run, asyncio.run, ask(n)) for n in range(3)]
        found = [vector for each in asking for vector in each.result()]
    assert found == hashed(["x"]) * 160
    assert (lab["alpha"].request_count, lab["beta"].request_count) == (160, 0)


# Time.


def test_hanging_model_is_given_up_after_the_timeout(lab: Lab, build: Build) -> None:
    lab["alpha"].fault = hang()
    embeddings = build(router_with(lab), timeout=1.0)
    assert run(embeddings.aembed_query("x")) == hashed(["x"])[0]
    assert attempts(embeddings) == [("alpha/e5", "timeout"), ("beta/e5", None)]


def test_deadline_counts_for_all_chunks_together() -> None:
    asked: list[int] = []
    clock = ManualClock()

    def seconds_pass() -> None:
        asked.append(1)
        clock.advance(4.0)

    embeddings = own(seconds_pass, clock, chunk_size=1, deadline=10.0)
    with pytest.raises(AllModelsFailedError, match="the deadline has passed"):
        embeddings.embed_documents(["a", "b", "c", "d", "e"])
    assert len(asked) == 3
    assert embeddings.embed_documents(["a", "b"]) == [[0.0, 1.0]] * 2


@pytest.mark.parametrize("query", [True, False])
def test_caller_who_leaves_leaves_nothing_in_flight_and_blames_nobody(
    lab: Lab, build: Build, query: bool
) -> None:
    lab["alpha"].fault = hang()
    embeddings = build(router_with(lab))

    async def leave() -> None:
        asking = embeddings.aembed_query("x") if query else embeddings.aembed_documents(TEXTS)
        task = asyncio.ensure_future(asking)
        await asyncio.to_thread(lab["alpha"].wait_for_requests, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(leave())
    assert at_rest(embeddings)
    assert embeddings.router.state("alpha/e5").consecutive_failures == 0
    assert lab["beta"].request_count == 0


# What is asked of the router.


def test_preferred_provider_is_asked_first(lab: Lab, ask: Ask) -> None:
    embeddings = through_litellm(router_with(lab), prefers=["beta"])
    ask(embeddings, TEXTS)
    assert lab["alpha"].request_count == 0


def test_model_whose_window_the_longest_text_exceeds_is_not_asked(lab: Lab, ask: Ask) -> None:
    small = Model("alpha/e5", (LEAF,), context_window=10)
    embeddings = through_litellm(router_with(lab, small, "beta/e5"))
    # Together they would not fit, but none of them has to share.
    ask(embeddings, ["one two three"] * 5)
    assert lab["beta"].request_count == 0
    ask(embeddings, ["short", "long " * 20])
    assert lab["beta"].request_count > 0


def test_names_that_the_router_does_not_know_are_refused(lab: Lab) -> None:
    router = router_with(lab)
    inner = openai_embeddings(lab["alpha"].base_url)
    with pytest.raises(UnknownCapabilityError):
        CapabilityRouterEmbeddings(router=router, capability="embed")
    with pytest.raises(UnknownPoolError):
        CapabilityRouterEmbeddings(router=router, pool="none")
    with pytest.raises(UnknownModelError):
        CapabilityRouterEmbeddings(router=router, models={"alpha/e6": inner})


def test_text_that_is_none_is_the_callers_fault(lab: Lab, build: Build, ask: Ask) -> None:
    embeddings = build(router_with(lab))
    with pytest.raises(TypeError, match="is of type NoneType, not a text"):
        ask(embeddings, ["red apple", None])  # type: ignore[list-item]  # on purpose
    assert embeddings.router.state("alpha/e5").failures == 0


@pytest.mark.parametrize("setting", ["dimensions", "deadline", "timeout", "chunk_size"])
def test_numbers_must_be_above_zero(setting: str) -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        through_litellm(CapabilityRouter(), **{setting: 0})


def test_nothing_secret_is_shown(lab: Lab, build: Build, ask: Ask) -> None:
    for provider in lab:
        provider.fault = unauthorized()
    embeddings = build(router_with(lab))
    with pytest.raises(AllModelsFailedError) as caught:
        ask(embeddings, TEXTS)
    for shown in (repr(embeddings), f"{caught.value} {caught.value!r}", embeddings.model_dump()):
        assert KEY not in str(shown)
