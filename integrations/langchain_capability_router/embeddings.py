"""An embedding model that is a whole pool, and never leaves its vector space."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Self

from langchain_core.embeddings import Embeddings
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from capability_router.engine.model import Model
from capability_router.engine.request import CompletionRequest
from capability_router.engine.steps import Try
from capability_router.engine.timing import Deadline
from capability_router.requirements import input_tokens_of
from capability_router.router import CapabilityRouter
from langchain_capability_router.configured import Configured
from langchain_capability_router.embedders import Embedder, LiteLLMEmbedder, OwnEmbedder, Vectors
from langchain_capability_router.errors import UnsupportedByModelError
from langchain_capability_router.replies import (
    Reply,
    UnreadableReplyError,
    afirst_reply,
    first_reply,
)
from langchain_capability_router.vector_spaces import one_space
from litellm_capability_router.host import aload_litellm, load_litellm

__all__ = ["CapabilityRouterEmbeddings"]

_Settings = tuple[str, str | None, str | None, int | None]


class CapabilityRouterEmbeddings(BaseModel, Embeddings):
    """Embeddings from a pool of models of one vector space, and another of them where one fails.

    ???+ info "Setup"

        ```bash
        pip install "capability-router[langchain,litellm]"
        ```

        Models are called through LiteLLM, or through an embedding model of your own (``models``);
        whoever gives each model an own one needs no LiteLLM.

    ??? info "Key init args"

        router: The ``CapabilityRouter`` that knows the models and their health, or the path of its
            YAML file; by default the file that ``CAPABILITY_ROUTER_CONFIG`` names.
        capability: What is asked for: path, unique last segment or alias of a node.
        pool: Name of the one pool to use; None for every pool that covers the capability.
        vector_space: The ``embedding_space`` to embed into, with or without its dimensions; None
            where the models have only one.
        dimensions: Length of vectors to ask for, > 0, of models that can shorten theirs; None for
            their own.
        prefers: Ids of providers to ask first, best first.
        deadline: Seconds after which no further attempt starts, > 0, over all requests of one
            call; None for the pool's own, which each request has anew.
        timeout: Seconds one attempt may take at most, > 0; None for the pool's own limit.
        chunk_size: Texts in one request, > 0. Default 96, which every larger provider takes:
            Cohere no more than that, Gemini 100, OpenAI 2048 with 300,000 tokens in all.
        models: Own embedding models by model id, best with ``max_retries=0``.

    ??? info "Instantiate"

        ```python
        from capability_router import CapabilityRouter, Model
        from langchain_capability_router import CapabilityRouterEmbeddings

        router = CapabilityRouter()
        router.register(Model("openai/text-embedding-3-small", ("text-embeddings",)))
        router.register(Model("openrouter/openai/text-embedding-3-small", ("text-embeddings",)))
        embeddings = CapabilityRouterEmbeddings(router=router)
        ```

    ??? info "Embed single text"

        ```python
        vector = embeddings.embed_query("How do I reset my password?")
        ```

    ??? info "Embed multiple texts"

        ```python
        vectors = embeddings.embed_documents(["first text", "second text"])
        ```

        An own model is asked with its ``embed_query`` for queries. Through LiteLLM, queries and
        documents are embedded alike: give models that tell them apart an own embedding model.

    ??? info "Async"

        ```python
        await embeddings.aembed_query("How do I reset my password?")
        await embeddings.aembed_documents(["first text", "second text"])
        ```

    ??? info "Vector spaces"

        Vectors of different models cannot be compared, so a store that holds both finds nothing.
        Only models of one space stand in for each other: those with the same name, whoever serves
        them, or with the same ``vector_space`` (and ``dimensions``, if these are declared). If the
        pool has models of several spaces, name one. Once there was an answer, the space and the
        length of its vectors are kept, whatever becomes of the pool; a model that answers with
        another length has failed.

    ??? info "Errors"

        If no model answers, ``AllChatModelsFailedError`` carries every attempt; it is a
        ``ModelError`` of LangChain, with ``is_retryable``. What a provider refuses as the caller's
        fault is raised as that provider's own error, and no other model is asked.

    Raises:
        UnknownCapabilityError: If the tree has no such node.
        UnknownPoolError: If there is no such pool.
        UnknownModelError: If ``models`` names a model that is not registered.
        VectorSpaceError: If the models have several vector spaces and none of them is named, or
            one that they do not have. Models may come and go, so each call may raise it as well.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    router: Configured = Field(default_factory=CapabilityRouter.shared, repr=False, exclude=True)
    capability: str = "text-embeddings"
    pool: str | None = None
    vector_space: str | None = None
    dimensions: int | None = Field(default=None, gt=0)
    prefers: tuple[str, ...] = ()
    deadline: float | None = Field(default=None, gt=0)
    timeout: float | None = Field(default=None, gt=0)
    chunk_size: int = Field(default=96, gt=0)
    models: Mapping[str, Embeddings] = Field(default_factory=dict, repr=False, exclude=True)

    _own: dict[str, OwnEmbedder] = PrivateAttr(default_factory=dict)
    # The space and the length of the first answer; by settings, which a copy may have changed.
    _kept: dict[_Settings, tuple[str, int]] = PrivateAttr(
        default_factory=dict[_Settings, tuple[str, int]]
    )

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        """Refuse what the router does not know, and a mixed pool, before the first request does."""
        self._space()
        self._own = {
            self.router.model(model_id).id: OwnEmbedder(inner)
            for model_id, inner in self.models.items()
        }
        return self

    def embed_documents(self, texts: list[str]) -> Vectors:
        """Return a vector for each text, in their order; see the class."""
        return self._embed(texts, query=False)

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a query; see the class."""
        return self._embed([text], query=True)[0]

    async def aembed_documents(self, texts: list[str]) -> Vectors:
        """Return a vector for each text, in their order; see the class."""
        return await self._aembed(texts, query=False)

    async def aembed_query(self, text: str) -> list[float]:
        """Return the vector of a query; see the class."""
        return (await self._aembed([text], query=True))[0]

    def _embed(self, texts: list[str], *, query: bool) -> Vectors:
        if not self._own:
            # Importing it takes seconds, which are neither a model's latency nor the deadline's.
            load_litellm()
        vectors: Vectors = []
        for chunk, request in self._requests(texts):
            ask = partial(self._ask, chunk, query)
            found: Vectors = first_reply(self.router, request, ask)
            vectors += found
        return vectors

    async def _aembed(self, texts: list[str], *, query: bool) -> Vectors:
        if not self._own:
            await aload_litellm()
        vectors: Vectors = []
        for chunk, request in self._requests(texts):
            ask = partial(self._aask, chunk, query)
            found: Vectors = await afirst_reply(self.router, request, ask)
            vectors += found
        return vectors

    def _requests(self, texts: list[str]) -> Iterator[tuple[list[str], CompletionRequest]]:
        """Yield the texts of each request with the request, made when it is its turn."""
        for place, text in enumerate(texts):
            if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # of callers without types
                raise TypeError(f"texts[{place}] is of type {type(text).__name__}, not a text")
        clock = self.router.clock
        deadline = Deadline.after(clock.now(), self.deadline)
        for start in range(0, len(texts), self.chunk_size):
            chunk = texts[start : start + self.chunk_size]
            left_s = None if self.deadline is None else deadline.left(clock.now())
            yield chunk, self._request(chunk, left_s)

    def _request(self, texts: list[str], deadline_s: float | None) -> CompletionRequest:
        return CompletionRequest(
            self.capability,
            # Each text has to fit into the window by itself.
            input_tokens=max(input_tokens_of({"input": text}) for text in texts),
            pool=self.pool,
            deadline_s=deadline_s,
            timeout_s=self.timeout,
            prefers=self.prefers,
            vector_space=self._space(),
        )

    def _ask(self, texts: list[str], query: bool, step: Try) -> Reply[Vectors]:
        embedder = self._embedder(step.model)
        reply = embedder.embed(texts, query=query, timeout_s=step.timeout_s)
        self._keep(step.model, len(reply.value[0]))
        return reply

    async def _aask(self, texts: list[str], query: bool, step: Try) -> Reply[Vectors]:
        embedder = self._embedder(step.model)
        reply = await embedder.aembed(texts, query=query, timeout_s=step.timeout_s)
        self._keep(step.model, len(reply.value[0]))
        return reply

    def _embedder(self, model: Model) -> Embedder:
        own = self._own.get(model.id)
        if own is not None:
            return own
        return LiteLLMEmbedder(model, self.router.provider(model.provider), self.dimensions)

    def _space(self) -> str | None:
        """Return the space to embed into: that of the first answer, or the only one there is."""
        kept = self._kept.get(self._settings())
        if kept is not None:
            return kept[0]
        asked = CompletionRequest(self.capability, pool=self.pool)
        return one_space(self.capability, self.router.candidates(asked), self.vector_space)

    def _keep(self, model: Model, length: int) -> None:
        """Refuse an answer of another length or space than the first, which is noted."""
        declared = self.dimensions or model.dimensions or length
        if length != declared:
            raise UnreadableReplyError(f"vectors of {length} dimensions instead of {declared}")
        mine = (model.embedding_space, length)
        # Of two first calls at once one is the first; this step cannot be interrupted.
        space, first = self._kept.setdefault(self._settings(), mine)
        if space != model.embedding_space:
            raise UnsupportedByModelError(
                f"{model.id!r} embeds into {model.embedding_space!r}, not {space!r}"
            )
        if length != first:
            raise UnreadableReplyError(f"vectors of {length} dimensions instead of {first}")

    def _settings(self) -> _Settings:
        return self.capability, self.pool, self.vector_space, self.dimensions
