"""A reranker over two lab providers, asked in both ways: order, copies, failover and errors."""

import asyncio
import time
from collections.abc import Callable, Sequence

import pytest
from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.exceptions import ModelError
from langchain_core.runnables import RunnableLambda
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
    UnknownModelError,
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
from langchain_capability_router.reranking import CapabilityReranker
from litellm_capability_router.host import load_litellm
from tests.answering import answering
from tests.connections import run

K = FailureKind
QUERY = "a red apple"
Rerank = Callable[[CapabilityReranker, Sequence[Document]], Sequence[Document]]


def documents() -> list[Document]:
    return [
        Document("green pear", id="pear", metadata={"page": 1}),
        Document("red apple", id="apple", metadata={"page": 2}),
        Document("red car", id="car", metadata={"page": 3}),
    ]


def router_of(lab: Lab, clock: ManualClock | None = None) -> CapabilityRouter:
    providers = [Provider(p.name, base_url=p.base_url, api_key=Secret("sesame")) for p in lab]
    router = CapabilityRouter(providers=providers, clock=clock or ManualClock(), seed=1)
    for provider in lab:
        router.register(Model(f"{provider.name}/ranker", ("reranking",)))
    return router


def reranker_of(lab: Lab, **settings: object) -> CapabilityReranker:
    return CapabilityReranker.model_validate({"router": router_of(lab), **settings})


def rerank(reranker: CapabilityReranker, found: Sequence[Document]) -> Sequence[Document]:
    return reranker.compress_documents(found, QUERY)


def arerank(reranker: CapabilityReranker, found: Sequence[Document]) -> Sequence[Document]:
    return run(reranker.acompress_documents(found, QUERY))


@pytest.fixture(params=[rerank, arerank], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Rerank:
    ask: Rerank = request.param
    return ask


def ids(found: Sequence[Document]) -> list[str | None]:
    return [document.id for document in found]


def in_flight(reranker: CapabilityReranker) -> list[int]:
    return [reranker.router.state(model.id).in_flight for model in reranker.router.models]


def test_best_document_comes_first_as_a_copy_with_its_relevance(lab: Lab, ask: Rerank) -> None:
    found = documents()
    ranked = ask(reranker_of(lab), found)
    assert ids(ranked) == ["apple", "car", "pear"]
    assert [document.metadata["page"] for document in ranked] == [2, 3, 1]
    scores = [document.metadata["relevance_score"] for document in ranked]
    assert scores == sorted(scores, reverse=True)
    assert ranked[0].page_content == "red apple"
    assert found == documents()


@pytest.mark.parametrize(("top_n", "sent"), [(2, 2), (9, 3), (None, 3)])
def test_provider_gets_texts_and_the_number_wanted_and_no_more(
    lab: Lab, ask: Rerank, top_n: int | None, sent: int
) -> None:
    ask(reranker_of(lab, top_n=top_n), documents())
    (request,) = lab["alpha"].requests
    assert (request.path, request.headers["authorization"]) == ("/v1/rerank", "[redacted]")
    assert request.body == {
        "model": "ranker",
        "query": QUERY,
        "documents": ["green pear", "red apple", "red car"],
        "top_n": sent,
        "return_documents": False,
    }


@pytest.mark.parametrize(("top_n", "kept"), [(1, 1), (2, 2), (9, 3), (None, 3)])
def test_only_the_best_are_returned(lab: Lab, ask: Rerank, top_n: int | None, kept: int) -> None:
    ranked = ask(reranker_of(lab, top_n=top_n), documents())
    assert ids(ranked) == ["apple", "car", "pear"][:kept]


def test_no_documents_ask_nobody(lab: Lab, ask: Rerank) -> None:
    assert list(ask(reranker_of(lab), [])) == []
    assert lab["alpha"].request_count == 0


def test_tokens_are_counted(lab: Lab, ask: Rerank) -> None:
    reranker = reranker_of(lab)
    ask(reranker, documents())
    assert reranker.router.state("alpha/ranker").input_tokens == 9


# LiteLLM's async client repeats a request itself where the connection broke before an answer.
FAULTS: dict[str, tuple[Fault, set[FailureKind], set[int]]] = {
    "500": (server_error(), {K.SERVER_ERROR}, {1}),
    "503": (overloaded(), {K.OVERLOADED}, {1}),
    "429": (rate_limited(retry_after=7), {K.RATE_LIMITED}, {1}),
    "401": (unauthorized(), {K.AUTH}, {1}),
    "refused": (refused(), {K.CONNECTION}, {0}),
    "reset": (reset(), {K.CONNECTION}, {1, 2}),
    "web page": (html(), {K.PROTOCOL}, {1}),
    "broken JSON": (malformed_chunk(0), {K.PROTOCOL}, {1}),
    "cut body": (cut_stream(0, "close"), {K.PROTOCOL}, {1}),
}


@pytest.mark.parametrize(("fault", "kinds", "calls"), FAULTS.values(), ids=FAULTS)
def test_first_request_is_served_by_the_second_model_when_the_first_fails(
    lab: Lab, ask: Rerank, fault: Fault, kinds: set[FailureKind], calls: set[int]
) -> None:
    lab["alpha"].fault = fault
    reranker = reranker_of(lab)
    assert ids(ask(reranker, documents())) == ["apple", "car", "pear"]
    assert lab["alpha"].request_count in calls
    assert lab["beta"].request_count == 1
    (decision,) = reranker.router.decisions
    assert [attempt.model for attempt in decision.attempts] == ["alpha/ranker", "beta/ranker"]
    assert decision.attempts[0].kind in kinds
    assert in_flight(reranker) == [0, 0]


def ranking(*pairs: tuple[object, object]) -> dict[str, object]:
    results = [{"index": index, "relevance_score": score} for index, score in pairs]
    return {"id": "r", "results": results, "usage": {"total_tokens": 1}}


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"results": []},
        ranking((0, 0.5), (1, 0.4)),
        ranking((0, 0.5), (1, 0.4), (3, 0.3)),
        ranking((0, 0.5), (1, 0.4), (-1, 0.3)),
        ranking((0, 0.5), (1, 0.4), (1, 0.3)),
        ranking((0, 0.5), (1, 0.4), (2, float("nan"))),
        ranking((0, 0.5), (1, 0.4), (2, None)),
        {"results": [{"index": 0}]},
    ],
)
def test_ranking_that_would_lose_or_mix_up_documents_is_a_failure_of_its_model(
    lab: Lab, ask: Rerank, answer: dict[str, object]
) -> None:
    with answering(answer) as url:
        router = CapabilityRouter(
            providers=[
                Provider("odd", base_url=url),
                Provider("beta", base_url=lab["beta"].base_url),
            ],
            clock=ManualClock(),
            seed=1,
        )
        for name in ("odd", "beta"):
            router.register(Model(f"{name}/ranker", ("reranking",)))
        reranker = CapabilityReranker(router=router)
        assert ids(ask(reranker, documents())) == ["apple", "car", "pear"]
    (decision,) = router.decisions
    assert [attempt.model for attempt in decision.attempts] == ["odd/ranker", "beta/ranker"]
    assert in_flight(reranker) == [0, 0]


def top_two(url: str) -> CapabilityReranker:
    router = CapabilityRouter(providers=[Provider("odd", base_url=url)], clock=ManualClock())
    router.register(Model("odd/ranker", ("reranking",)))
    return CapabilityReranker(router=router, top_n=2)


def test_more_results_than_wanted_are_cut(ask: Rerank) -> None:
    with answering(ranking((2, 0.1), (0, 0.9), (1, 0.5))) as url:
        assert ids(ask(top_two(url), documents())) == ["pear", "apple"]


def test_document_that_is_ranked_twice_is_no_answer(ask: Rerank) -> None:
    twice = ranking((0, 0.9), (0, 0.8), (1, 0.5))
    with answering(twice) as url, pytest.raises(AllModelsFailedError):
        ask(top_two(url), documents())


def test_model_that_hangs_is_left_after_its_timeout(lab: Lab, ask: Rerank) -> None:
    lab["alpha"].fault = hang()
    reranker = reranker_of(lab, timeout=0.2)
    load_litellm()
    began = time.monotonic()
    assert ids(ask(reranker, documents()))[0] == "apple"
    assert time.monotonic() - began < 5
    (decision,) = reranker.router.decisions
    assert decision.attempts[0].kind is K.TIMEOUT
    assert in_flight(reranker) == [0, 0]


def test_retry_after_keeps_the_model_away_until_it_is_over(lab: Lab, ask: Rerank) -> None:
    lab["alpha"].script(rate_limited(retry_after=7))
    reranker = reranker_of(lab)
    ask(reranker, documents())
    ask(reranker, documents())
    assert (lab["alpha"].request_count, lab["beta"].request_count) == (1, 2)


def test_failure_of_every_model_is_one_error_of_both_worlds(lab: Lab, ask: Rerank) -> None:
    lab["alpha"].fault, lab["beta"].fault = server_error(), rate_limited(retry_after=7)
    reranker = reranker_of(lab)
    with pytest.raises(AllModelsFailedError) as caught:
        ask(reranker, documents())
    error = caught.value
    assert isinstance(error, ModelError)
    assert error.is_retryable
    assert [attempt.status for attempt in error.attempts] == [500, 429]
    assert error.__cause__ is error.attempts[-1].error is not None
    assert "sesame" not in f"{error!r} {error}"
    assert in_flight(reranker) == [0, 0]


def test_refusal_of_the_request_is_the_providers_own_error_after_one_call(
    lab: Lab, ask: Rerank
) -> None:
    lab["alpha"].fault = bad_request()
    reranker = reranker_of(lab)
    with pytest.raises(Exception, match="Invalid value in the request") as caught:
        ask(reranker, documents())
    assert getattr(caught.value, "status_code", None) == 400
    assert (lab["alpha"].request_count, lab["beta"].request_count) == (1, 0)
    assert reranker.router.state("alpha/ranker").consecutive_failures == 0


def test_empty_pool_is_said_to_have_no_model(lab: Lab, ask: Rerank) -> None:
    reranker = reranker_of(lab)
    for model in reranker.router.models:
        reranker.router.deactivate(model.id)
    with pytest.raises(NoAvailableModelError):
        ask(reranker, documents())


def test_cancelled_call_leaves_nothing_in_flight(lab: Lab) -> None:
    lab["alpha"].fault = hang()
    reranker = reranker_of(lab)

    async def cancel() -> None:
        task = asyncio.create_task(reranker.acompress_documents(documents(), QUERY))
        await asyncio.to_thread(lab["alpha"].wait_for_requests, 1)
        assert in_flight(reranker) == [1, 0]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(cancel())
    assert in_flight(reranker) == [0, 0]
    assert reranker.router.state("alpha/ranker").consecutive_failures == 0
    assert lab["beta"].request_count == 0


class Backwards(BaseDocumentCompressor):
    """A reranker as users may have one: changes what it is given, and keeps what it likes."""

    broken: bool = False

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        if self.broken:
            raise ConnectionError("the model is not there")
        for document in documents:
            document.metadata["seen"] = query
        return list(reversed(documents))


def test_own_compressor_is_asked_instead_and_cannot_change_the_input(lab: Lab, ask: Rerank) -> None:
    models = {"alpha/ranker": Backwards(), "beta/ranker": Backwards()}
    found = documents()
    ranked = ask(reranker_of(lab, models=models, top_n=2), found)
    assert ids(ranked) == ["car", "apple"]
    assert ranked[0].metadata == {"page": 3, "seen": QUERY}
    assert found == documents()
    assert lab["alpha"].request_count == 0


def test_no_further_model_is_asked_after_the_deadline(lab: Lab, ask: Rerank) -> None:
    clock = ManualClock()

    class Slow(Backwards):
        def compress_documents(
            self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
        ) -> Sequence[Document]:
            clock.advance(10)
            raise ConnectionError("it took too long")

    router = router_of(lab, clock)
    reranker = CapabilityReranker(router=router, models={"alpha/ranker": Slow()}, deadline=5)
    with pytest.raises(AllModelsFailedError) as caught:
        ask(reranker, documents())
    assert [attempt.model for attempt in caught.value.attempts] == ["alpha/ranker"]
    assert lab["beta"].request_count == 0


def test_failing_own_compressor_is_replaced_by_the_next_model(lab: Lab, ask: Rerank) -> None:
    reranker = reranker_of(lab, models={"alpha/ranker": Backwards(broken=True)})
    assert ids(ask(reranker, documents())) == ["apple", "car", "pear"]
    assert lab["beta"].request_count == 1
    assert in_flight(reranker) == [0, 0]


def test_reranker_follows_a_retriever_in_a_chain(lab: Lab) -> None:
    reranker = reranker_of(lab, top_n=1)

    def search(query: str) -> list[Document]:
        assert query == QUERY
        return documents()

    def best(found: list[Document]) -> Sequence[Document]:
        return reranker.compress_documents(found, QUERY)

    chain = RunnableLambda(search) | RunnableLambda(best)
    assert ids(chain.invoke(QUERY)) == ["apple"]


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"capability": "rerankin"}, UnknownCapabilityError),
        ({"pool": "no-such-pool"}, UnknownPoolError),
        ({"models": {"gamma/ranker": Backwards()}}, UnknownModelError),
        ({"top_n": 0}, ValidationError),
        ({"timeout": 0}, ValidationError),
        ({"topn": 3}, ValidationError),
    ],
)
def test_wrong_setting_is_refused_before_the_first_request(
    lab: Lab, settings: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        reranker_of(lab, **settings)


def test_nothing_secret_is_in_the_representation(lab: Lab) -> None:
    reranker = reranker_of(lab)
    assert "sesame" not in f"{reranker!r} {reranker.model_dump()}"
