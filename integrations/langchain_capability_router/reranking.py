"""A document compressor that is a whole pool: sorts documents by relevance, and fails over."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self, cast

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from pydantic import ConfigDict, Field, PrivateAttr, model_validator

from capability_router.engine.outcome import Usage
from capability_router.engine.request import CompletionRequest
from capability_router.engine.steps import Try
from capability_router.router import CapabilityRouter
from langchain_capability_router.configured import Configured
from langchain_capability_router.replies import (
    Reply,
    UnreadableReplyError,
    afirst_reply,
    first_reply,
)
from litellm_capability_router.deployments import completion_params
from litellm_capability_router.host import aload_litellm, load_litellm
from litellm_capability_router.timeouts import client_timeout_s

__all__ = ["CapabilityReranker"]


class _Reranking(Protocol):
    """What is called of the module ``litellm``."""

    def rerank(self, **request: Any) -> Any: ...

    async def arerank(self, **request: Any) -> Any: ...

    def exception_type(
        self, *, model: str, custom_llm_provider: str, original_exception: Exception
    ) -> Any: ...


class CapabilityReranker(BaseDocumentCompressor):
    """A reranker that asks a pool of models, and another of them where one fails.

    ???+ info "Setup"

        ```bash
        pip install "capability-router[langchain,litellm]"
        ```

        Models are called through LiteLLM, or through a compressor of your own (``models``);
        whoever gives each model an own one needs no LiteLLM. A provider with a ``base_url`` and no
        ``vendor`` is asked at ``<base_url>/rerank``, as vLLM and many other servers have it.

    ??? info "Key init args"

        router: The ``CapabilityRouter`` that knows the models and their health, or the path of its
            YAML file; by default the file that ``CAPABILITY_ROUTER_CONFIG`` names.
        capability: What is asked for: path, unique last segment or alias of a node.
        pool: Name of the one pool to use; None for every pool that covers the capability.
        top_n: Most documents to return, > 0; None for all of them, sorted.
        deadline: Seconds after which no further attempt starts, > 0; None for the pool's own.
        timeout: Seconds one attempt may take at most, > 0; None for the pool's own limit. What a
            compressor computes by itself, in a sync call, cannot be given up.
        models: Own compressors by model id, for instance a ``CohereRerank`` or a cross-encoder.

    ??? info "Instantiate"

        ```python
        from capability_router import CapabilityRouter, Model
        from langchain_capability_router.reranking import CapabilityReranker

        router = CapabilityRouter()
        router.register(Model("cohere/rerank-v3.5", ("reranking",)))
        router.register(Model("jina_ai/jina-reranker-v2-base-multilingual", ("reranking",)))
        reranker = CapabilityReranker(router=router, top_n=3)
        ```

    ??? info "Use"

        ```python
        best = reranker.compress_documents(documents, "How do I reset my password?")
        best[0].metadata["relevance_score"]
        ```

        The best document comes first. Each is a copy with its ``relevance_score``; id, content and
        other metadata are kept, and your documents are not changed. Scores of different models
        cannot be compared: keep no threshold across a failover.

        All documents go out in one request. How many a provider takes is its own limit: one that
        refuses them raises its own error, and no other model is asked.

    ??? info "Async"

        ```python
        await reranker.acompress_documents(documents, "How do I reset my password?")
        ```

    ??? info "After a retriever"

        ```python
        chain = retriever | RunnableLambda(lambda found: reranker.compress_documents(found, query))
        ```

        ``ContextualCompressionRetriever`` takes it as its ``base_compressor``.

    ??? info "Errors"

        If no model answers, the ``AllModelsFailedError`` carries every attempt; it is a
        ``ModelError`` of LangChain, with ``is_retryable``.

    Raises:
        UnknownCapabilityError: If the tree has no such node.
        UnknownPoolError: If there is no such pool.
        UnknownModelError: If ``models`` names a model that is not registered.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    router: Configured = Field(default_factory=CapabilityRouter.shared, repr=False, exclude=True)
    capability: str = "reranking"
    pool: str | None = None
    top_n: int | None = Field(default=None, gt=0)
    deadline: float | None = Field(default=None, gt=0)
    timeout: float | None = Field(default=None, gt=0)
    models: Mapping[str, BaseDocumentCompressor] = Field(
        default_factory=dict, repr=False, exclude=True
    )

    _own: dict[str, BaseDocumentCompressor] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        """Refuse names that the router does not know, before the first request does."""
        self.router.tree.resolve(self.capability)
        if self.pool is not None:
            self.router.pool(self.pool)
        self._own = {
            self.router.model(model_id).id: inner for model_id, inner in self.models.items()
        }
        return self

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """Return copies of the most relevant documents, best first; see the class.

        Args:
            documents: What was found.
            query: What they are to be relevant to.
            callbacks: Handed to an own compressor.
        """
        if not documents:
            return []
        if not self._own:
            # Importing it takes seconds, which are neither a model's latency nor the deadline's.
            load_litellm()

        def rank(step: Try) -> Reply[list[Document]]:
            own = self._own.get(step.model.id)
            if own is not None:
                kept = own.compress_documents(_copies(documents), query, callbacks)
                return Reply(list(kept)[: self.top_n])
            litellm = cast("_Reranking", load_litellm())
            answer = litellm.rerank(**self._asked(step, documents, query))
            return self._reply(answer, documents)

        return first_reply(self.router, self._request(), rank)

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """Return copies of the most relevant documents, best first; see the class.

        Args:
            documents: What was found.
            query: What they are to be relevant to.
            callbacks: Handed to an own compressor.
        """
        if not documents:
            return []
        if not self._own:
            await aload_litellm()

        async def rank(step: Try) -> Reply[list[Document]]:
            own = self._own.get(step.model.id)
            if own is not None:
                kept = await own.acompress_documents(_copies(documents), query, callbacks)
                return Reply(list(kept)[: self.top_n])
            litellm = cast("_Reranking", await aload_litellm())
            answer = await _arerank(litellm, self._asked(step, documents, query))
            return self._reply(answer, documents)

        return await afirst_reply(self.router, self._request(), rank)

    def _request(self) -> CompletionRequest:
        return CompletionRequest(
            self.capability, pool=self.pool, deadline_s=self.deadline, timeout_s=self.timeout
        )

    def _asked(self, step: Try, documents: Sequence[Document], query: str) -> dict[str, Any]:
        provider = self.router.provider(step.model.provider)
        request = completion_params(provider, step.model)
        if provider.vendor == "openai" and provider.base_url is not None:
            # OpenAI itself has no such endpoint, so LiteLLM refuses its name.
            request["model"] = f"hosted_vllm/{step.model.name}"
        return {
            **request,
            "query": query,
            "documents": [document.page_content for document in documents],
            "top_n": self._count(documents),
            "return_documents": False,
            "timeout": client_timeout_s(step.timeout_s),
            "num_retries": 0,
        }

    def _reply(self, answer: Any, documents: Sequence[Document]) -> Reply[list[Document]]:
        scores = _scores(answer, len(documents))
        count = self._count(documents)
        if len(scores) < count:
            # Taken as it is, this answer would make documents disappear.
            raise UnreadableReplyError(f"{len(scores)} documents were ranked instead of {count}")
        best = sorted(scores, key=lambda index: -scores[index])[:count]
        return Reply([_scored(documents[index], scores[index]) for index in best], _usage(answer))

    def _count(self, documents: Sequence[Document]) -> int:
        return len(documents) if self.top_n is None else min(self.top_n, len(documents))


async def _arerank(litellm: _Reranking, request: dict[str, Any]) -> Any:
    try:
        return await litellm.arerank(**request)
    except Exception as error:
        # Older versions do for sync calls only what is done here for all: name what went wrong.
        vendor = str(request["model"]).partition("/")[0]
        litellm.exception_type(
            model=request["model"], custom_llm_provider=vendor, original_exception=error
        )
        raise


def _scores(answer: Any, count: int) -> dict[int, float]:
    """Return the relevance of each ranked document by its place in the request."""
    scores: dict[int, float] = {}
    for result in getattr(answer, "results", None) or ():
        index, score = result.get("index"), result.get("relevance_score")
        if not isinstance(index, int) or not 0 <= index < count or index in scores:
            raise UnreadableReplyError(f"the ranking names document {index!r} of {count} wrongly")
        if not isinstance(score, int | float) or not math.isfinite(score):
            raise UnreadableReplyError(f"the relevance of document {index} is no number")
        scores[index] = float(score)
    return scores


def _usage(answer: Any) -> Usage:
    """Read the tokens where they are told; some providers bill searches instead."""
    meta: Mapping[str, Mapping[str, Any] | None] = getattr(answer, "meta", None) or {}
    told = {**(meta.get("billed_units") or {}), **(meta.get("tokens") or {})}
    return Usage(input_tokens=told.get("input_tokens") or told.get("total_tokens") or 0)


def _scored(document: Document, score: float) -> Document:
    return document.model_copy(update={"metadata": {**document.metadata, "relevance_score": score}})


def _copies(documents: Sequence[Document]) -> list[Document]:
    return [
        document.model_copy(update={"metadata": dict(document.metadata)}) for document in documents
    ]
