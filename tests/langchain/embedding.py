"""Embedding models of lab providers as one, and the four ways to ask it."""

from collections.abc import Callable, Iterable

import httpx
import pytest
from langchain_core.embeddings import Embeddings
from langchain_openai import OpenAIEmbeddings
from pydantic import SecretStr

from capability_router import CapabilityRouter, Model, Provider, Secret
from capability_router.lab import HashEmbeddings, LabProvider
from capability_router.testing.clock import ManualClock
from langchain_capability_router import CapabilityRouterEmbeddings
from tests.connections import close_later, run

LEAF = "text-embeddings"
KEY = "sesame"
TEXTS = ["red apple", "green pear", "red car"]
Vectors = list[list[float]]
Build = Callable[..., CapabilityRouterEmbeddings]
Ask = Callable[[CapabilityRouterEmbeddings, list[str]], Vectors]


def router_with(providers: Iterable[LabProvider], *models: Model | str) -> CapabilityRouter:
    """Return a router with these models, by default ``e5`` of each provider."""
    providers = list(providers)
    router = CapabilityRouter(
        providers=[Provider(p.name, base_url=p.base_url, api_key=Secret(KEY)) for p in providers],
        clock=ManualClock(),
        seed=1,
    )
    for each in models or [f"{provider.name}/e5" for provider in providers]:
        router.register(each if isinstance(each, Model) else Model(each, (LEAF,)))
    return router


def through_litellm(router: CapabilityRouter, **settings: object) -> CapabilityRouterEmbeddings:
    return CapabilityRouterEmbeddings.model_validate({"router": router, **settings})


def through_own_models(router: CapabilityRouter, **settings: object) -> CapabilityRouterEmbeddings:
    models: dict[str, Embeddings] = {
        model.id: openai_embeddings(str(router.provider(model.provider).base_url), model.name)
        for model in router.models
    }
    return through_litellm(router, models=models, **settings)


def openai_embeddings(base_url: str, model: str = "e5") -> OpenAIEmbeddings:
    # Nothing here speaks TLS, and reading the certificates takes longer than the test.
    client, async_client = httpx.Client(verify=False), httpx.AsyncClient(verify=False)
    close_later(client, async_client)
    return OpenAIEmbeddings(
        http_client=client,
        http_async_client=async_client,
        model=model,
        openai_api_base=base_url,
        openai_api_key=SecretStr(KEY),
        max_retries=0,
        # The table of tokens would have to be fetched.
        check_embedding_ctx_length=False,
    )


class Telling(Embeddings):
    """Embeds queries in another way than documents, and can be looked at while it does."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.meanwhile = meanwhile

    def embed_documents(self, texts: list[str]) -> Vectors:
        self.meanwhile()
        return [[0.0, float(len(text))] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        self.meanwhile()
        return [1.0, float(len(text))]


def documents(embeddings: CapabilityRouterEmbeddings, texts: list[str]) -> Vectors:
    return embeddings.embed_documents(texts)


def adocuments(embeddings: CapabilityRouterEmbeddings, texts: list[str]) -> Vectors:
    return run(embeddings.aembed_documents(texts))


def queries(embeddings: CapabilityRouterEmbeddings, texts: list[str]) -> Vectors:
    return [embeddings.embed_query(text) for text in texts]


def aqueries(embeddings: CapabilityRouterEmbeddings, texts: list[str]) -> Vectors:
    return [run(embeddings.aembed_query(text)) for text in texts]


BUILDS: dict[str, Build] = {"litellm": through_litellm, "own models": through_own_models}
BATCHES: dict[str, Ask] = {"documents": documents, "adocuments": adocuments}
WAYS: dict[str, Ask] = {**BATCHES, "query": queries, "aquery": aqueries}


def asked(provider: LabProvider) -> list[object]:
    """Return the texts of each request that a provider has got."""
    return [request.body["input"] for request in provider.requests if request.body]


def attempts(embeddings: CapabilityRouterEmbeddings) -> list[tuple[str, str | None]]:
    """Return the model and the failure of each attempt of the last request."""
    last = embeddings.router.decisions[-1]
    return [(each.model, each.kind) for each in last.attempts]


def at_rest(embeddings: CapabilityRouterEmbeddings) -> bool:
    """Return whether nothing is in flight."""
    router = embeddings.router
    return all(router.state(model.id).in_flight == 0 for model in router.models)


def hashed(texts: list[str], dimensions: int = 64) -> list[object]:
    vectors = HashEmbeddings(dimensions).vectors(texts)
    return [pytest.approx(vector, abs=1e-6) for vector in vectors]
