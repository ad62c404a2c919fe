"""Vectors of one space and one length come out of a pool, whatever its models answer."""

import copy
import math

import pytest

from capability_router import (
    AllModelsFailedError,
    CapabilityRouter,
    Model,
    NoAvailableModelError,
    Provider,
)
from capability_router.engine.membership import PoolPreferences
from capability_router.lab import (
    HashEmbeddings,
    Lab,
    server_error,
    wordllama_is_installed,
)
from capability_router.testing.clock import ManualClock
from langchain_capability_router import CapabilityRouterEmbeddings, VectorSpaceError
from langchain_capability_router.embedders import OwnEmbedder
from tests.answering import answering
from tests.langchain.embedding import (
    BATCHES,
    BUILDS,
    LEAF,
    TEXTS,
    WAYS,
    Ask,
    Build,
    Telling,
    at_rest,
    attempts,
    hashed,
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


# One vector space.


def test_pool_of_several_vector_spaces_is_refused_with_their_models(lab: Lab) -> None:
    router = router_with(lab, "alpha/e5", "beta/BAAI/bge-m3", "beta/e5", "alpha/bge-m3")
    with pytest.raises(VectorSpaceError) as caught:
        CapabilityRouterEmbeddings(router=router)
    told = str(caught.value)
    assert "'e5' (alpha/e5, beta/e5); 'bge-m3' (beta/BAAI/bge-m3, alpha/bge-m3)" in told
    assert "vector_space='e5'" in told
    assert caught.value.spaces["e5"] == ["alpha/e5", "beta/e5"]


def test_named_vector_space_is_the_only_one_to_serve(lab: Lab, build: Build, ask: Ask) -> None:
    router = router_with(lab, "alpha/e5", "alpha/bge-m3", "beta/bge-m3")
    embeddings = build(router, vector_space="bge-m3")
    assert ask(embeddings, TEXTS[:1]) == hashed(TEXTS[:1])
    assert attempts(embeddings) == [("alpha/bge-m3", None)]
    lab["alpha"].fault = server_error()
    ask(embeddings, TEXTS[:1])
    assert attempts(embeddings)[-1] == ("beta/bge-m3", None)


def test_model_of_another_space_is_not_asked_though_all_others_fail(
    lab: Lab, build: Build, ask: Ask
) -> None:
    embeddings = build(router_with(lab, "alpha/bge-m3", "beta/e5"), vector_space="bge-m3")
    lab["alpha"].fault = server_error()
    with pytest.raises(AllModelsFailedError) as caught:
        ask(embeddings, TEXTS)
    assert lab["beta"].request_count == 0
    assert "beta/e5: embeds into 'e5', not 'bge-m3'" in str(caught.value)


@pytest.mark.parametrize("wanted", ["small", "small[64]"])
def test_space_may_be_named_with_or_without_its_dimensions(lab: Lab, wanted: str) -> None:
    made = Model("alpha/mine", (LEAF,), vector_space="small", dimensions=64)
    router = router_with(lab, made, "beta/e5")
    embeddings = CapabilityRouterEmbeddings(router=router, vector_space=wanted)
    assert embeddings.embed_query("x") == hashed(["x"])[0]


@pytest.mark.parametrize(
    ("wanted", "wrong"), [("e6", "'e6' has no model"), ("e5", "'e5' has several dimensions")]
)
def test_space_that_is_not_there_or_not_one_is_refused(lab: Lab, wanted: str, wrong: str) -> None:
    models = [Model(f"alpha/{n}/e5", (LEAF,), dimensions=n) for n in (64, 32)]
    router = router_with(lab, *models)
    with pytest.raises(VectorSpaceError, match=wrong) as caught:
        CapabilityRouterEmbeddings(router=router, vector_space=wanted)
    assert "'e5[64]' (alpha/64/e5); 'e5[32]' (alpha/32/e5)" in str(caught.value)


def test_pool_that_becomes_mixed_before_the_first_answer_is_refused_then(
    lab: Lab, build: Build, ask: Ask
) -> None:
    router = router_with(lab, "alpha/e5")
    embeddings = build(router)
    router.register(Model("beta/bge-m3", (LEAF,)))
    with pytest.raises(VectorSpaceError, match="several vector spaces"):
        ask(embeddings, TEXTS)
    assert (lab["alpha"].request_count, lab["beta"].request_count) == (0, 0)


def test_space_of_the_first_answer_is_kept_when_others_come(
    lab: Lab, build: Build, ask: Ask
) -> None:
    router = router_with(lab, "alpha/e5")
    embeddings = build(router)
    ask(embeddings, TEXTS)
    router.register(Model("beta/bge-m3", (LEAF,)))
    ask(embeddings, TEXTS)
    router.unregister("alpha/e5")
    with pytest.raises(NoAvailableModelError, match="embeds into 'bge-m3', not 'e5'"):
        ask(embeddings, TEXTS)
    assert lab["beta"].request_count == 0


def test_model_that_comes_again_with_another_space_is_not_asked(
    lab: Lab, build: Build, ask: Ask
) -> None:
    router = router_with(lab, "alpha/e5")
    embeddings = build(router)
    ask(embeddings, TEXTS)
    router.unregister("alpha/e5")
    router.register(Model("alpha/e5", (LEAF,), vector_space="fine-tuned"))
    before = lab["alpha"].request_count
    with pytest.raises(NoAvailableModelError, match="embeds into 'fine-tuned', not 'e5'"):
        ask(embeddings, TEXTS)
    assert lab["alpha"].request_count == before


def test_of_two_first_answers_at_once_the_later_one_keeps_to_the_space_of_the_other() -> None:
    router = CapabilityRouter(clock=ManualClock(), seed=1)
    router.register(Model("own/e5", (LEAF,)))
    other: list[list[float]] = []

    def pool_changes() -> None:
        if not other:
            other.append([])
            router.unregister("own/e5")
            router.register(Model("own/bge-m3", (LEAF,)))
            other[0] = embeddings.embed_query("x")

    models = {"own/e5": Telling(pool_changes)}
    embeddings = CapabilityRouterEmbeddings(router=router, models=models)
    embeddings._own["own/bge-m3"] = OwnEmbedder(Telling())
    with pytest.raises(AllModelsFailedError, match="own/e5: unsupported"):
        embeddings.embed_query("x")
    assert other == [[1.0, 1.0]]
    assert embeddings.embed_query("x") == [1.0, 1.0]


def test_models_that_come_after_the_embedder_was_made_serve(lab: Lab, ask: Ask) -> None:
    router = router_with(lab, "alpha/e5")
    router.unregister("alpha/e5")
    embeddings = CapabilityRouterEmbeddings(router=router, vector_space="e5")
    with pytest.raises(NoAvailableModelError):
        ask(embeddings, TEXTS)
    router.register(Model("alpha/e5", (LEAF,)))
    assert ask(embeddings, TEXTS) == hashed(TEXTS)


def test_pool_that_filters_the_other_space_out_is_not_mixed(lab: Lab, ask: Ask) -> None:
    router = router_with(lab, "alpha/e5", "beta/bge-m3")
    router.add_pool("one", LEAF, preferences=PoolPreferences(allowed_providers=["beta"]))
    embeddings = CapabilityRouterEmbeddings(router=router, pool="one")
    ask(embeddings, TEXTS)
    assert attempts(embeddings) == [("beta/bge-m3", None)]


def test_copy_with_another_space_has_that_space(lab: Lab) -> None:
    router = router_with(lab, "alpha/e5", "beta/bge-m3")
    embeddings = CapabilityRouterEmbeddings(router=router, vector_space="e5")
    embeddings.embed_query("x")
    embeddings.model_copy(update={"vector_space": "bge-m3"}).embed_query("x")
    assert lab["beta"].request_count == 1
    copy.deepcopy(embeddings).embed_query("x")
    assert lab["alpha"].request_count == 2


# Vectors that cannot be right.


@pytest.fixture
def odd_lab() -> Lab:
    """A provider whose vectors have half the length of the others'."""
    return Lab(["odd"], answers="echo", embeddings=HashEmbeddings(32))


def test_other_length_than_declared_is_a_failure_of_the_model(
    lab: Lab, odd_lab: Lab, build: Build, ask: Ask
) -> None:
    models = [Model(f"{name}/e5", (LEAF,), dimensions=64) for name in ("odd", "alpha")]
    with odd_lab:
        embeddings = build(router_with([*odd_lab, *lab], *models))
        assert ask(embeddings, TEXTS[:1]) == hashed(TEXTS[:1])
    assert attempts(embeddings) == [("odd/e5", "protocol"), ("alpha/e5", None)]
    assert embeddings.router.state("odd/e5").consecutive_failures == 1


def test_other_length_than_that_of_the_first_answer_is_a_failure_of_the_model(
    lab: Lab, odd_lab: Lab, build: Build, ask: Ask
) -> None:
    with odd_lab:
        embeddings = build(router_with([*lab, *odd_lab]))
        ask(embeddings, TEXTS[:1])
        lab["alpha"].fault = server_error()
        embeddings.router.deactivate("beta/e5")
        with pytest.raises(AllModelsFailedError) as caught:
            ask(embeddings, TEXTS[:1])
    error = caught.value.attempts[-1].error
    assert str(error) == "vectors of 32 dimensions instead of 64"


def test_other_length_than_asked_for_is_a_failure_of_the_model(lab: Lab, ask: Ask) -> None:
    # An own model does not know what the router was told.
    embeddings = through_own_models(router_with(lab), dimensions=16)
    with pytest.raises(AllModelsFailedError, match="alpha/e5: protocol") as caught:
        ask(embeddings, TEXTS[:1])
    assert len(caught.value.attempts) == 2


def reply(*entries: tuple[object, object], tokens: object = 1) -> dict[str, object]:
    data = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in entries]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": "e5", "usage": usage}


UNREADABLE: dict[str, dict[str, object]] = {
    "too few": reply((0, [0.5]), (1, [0.5])),
    "too many": reply(*((place, [0.5]) for place in range(4))),
    "none": reply(),
    "no list": {"object": "list", "model": "e5"},
    "different lengths": reply((0, [0.1]), (1, [0.2, 0.3]), (2, [0.3])),
    "empty": reply((0, []), (1, []), (2, [])),
    "text": reply((0, ["a"]), (1, ["b"]), (2, ["c"])),
    "nothing": reply((0, None), (1, None), (2, None)),
    "no number": reply((0, [math.nan]), (1, [0.2]), (2, [0.3])),
    "infinite": reply((0, [math.inf]), (1, [0.2]), (2, [0.3])),
    "too large": reply((0, [10**400]), (1, [0.2]), (2, [0.3])),
}


def beside(lab: Lab, url: str) -> CapabilityRouter:
    """Return a router whose first provider is an odd one."""
    providers = [Provider("odd", base_url=url), Provider("beta", base_url=lab["beta"].base_url)]
    router = CapabilityRouter(providers=providers, clock=ManualClock(), seed=1)
    for name in ("odd", "beta"):
        router.register(Model(f"{name}/e5", (LEAF,)))
    return router


# OpenAI's client passes on what is no number, and warns.
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")
@pytest.mark.parametrize("answer", UNREADABLE.values(), ids=UNREADABLE)
def test_answer_that_is_not_one_vector_for_each_text_is_a_failure_of_its_model(
    lab: Lab, build: Build, ask_all: Ask, answer: dict[str, object]
) -> None:
    with answering(answer) as url:
        embeddings = build(beside(lab, url))
        assert ask_all(embeddings, TEXTS) == hashed(TEXTS)
    (first, kind), second = attempts(embeddings)
    assert (first, second) == ("odd/e5", ("beta/e5", None))
    assert kind in {"protocol", "connection"}
    assert at_rest(embeddings)


@pytest.mark.parametrize("places", [(0, 1, 1), (1, 2, 3), (0, 1, -1)])
def test_vectors_that_are_numbered_wrongly_are_a_failure_of_their_model(
    lab: Lab, ask_all: Ask, places: tuple[int, ...]
) -> None:
    with answering(reply(*((place, [0.5]) for place in places))) as url:
        embeddings = through_litellm(beside(lab, url))
        assert ask_all(embeddings, TEXTS) == hashed(TEXTS)
    assert attempts(embeddings) == [("odd/e5", "protocol"), ("beta/e5", None)]


def test_vectors_that_come_in_another_order_are_put_in_that_of_the_texts(
    lab: Lab, ask_all: Ask
) -> None:
    with answering(reply((2, [3]), (0, [1.0]), (1, [2.0]))) as url:
        embeddings = through_litellm(beside(lab, url))
        assert ask_all(embeddings, TEXTS) == [[1.0], [2.0], [3.0]]


def test_vectors_without_numbers_are_taken_in_their_order(lab: Lab, ask_all: Ask) -> None:
    answer = reply((None, [1.0]), (None, [2.0]), (None, [3.0]))
    with answering(answer) as url:
        assert ask_all(through_litellm(beside(lab, url)), TEXTS) == [[1.0], [2.0], [3.0]]


def test_texts_of_like_meaning_are_near_each_other_with_a_real_model(build: Build) -> None:
    if not wordllama_is_installed():
        pytest.skip("the package of the real model, wordllama, is not installed")
    with Lab(["alpha", "beta"], answers="echo", embeddings="wordllama") as real:
        real["alpha"].fault = server_error()
        embeddings = build(router_with(real))
        question = embeddings.embed_query("how do I reset my password")
        near, far = embeddings.embed_documents(
            ["I forgot my login credentials", "the weather is sunny today"]
        )
    assert product(question, near) > product(question, far) + 0.3


def product(one: list[float], other: list[float]) -> float:
    return sum(map(float.__mul__, one, other))
