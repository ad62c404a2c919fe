"""How one model is asked for vectors: through LiteLLM, or an embedding model that is given.

Knows no router and no other model; what is returned has been read and counted.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from math import isfinite
from typing import Any, Protocol, cast

from langchain_core.embeddings import Embeddings

from capability_router.engine.model import Model, Provider
from capability_router.engine.outcome import Usage
from langchain_capability_router.loops import (
    STALE_CONNECTIONS,
    is_of_a_closed_loop,
    is_the_clients_loop,
)
from langchain_capability_router.replies import Reply, UnreadableReplyError
from litellm_capability_router.deployments import completion_params
from litellm_capability_router.host import aload_litellm, load_litellm
from litellm_capability_router.timeouts import client_timeout_s

__all__ = ["Embedder", "LiteLLMEmbedder", "OwnEmbedder", "Vectors"]

Vectors = list[list[float]]

# What clients raise, openai's among them, that read an answer without having looked at it.
_TRIPPED = (AttributeError, IndexError, KeyError, OverflowError, TypeError)
_NOTHING = "No embedding data received"


class Embedder(Protocol):
    """Asks one model.

    Each method raises what its client library raises, and ``UnreadableReplyError`` where the
    answer is not one vector for each text.
    """

    def embed(self, texts: list[str], *, query: bool, timeout_s: float) -> Reply[Vectors]:
        """Return a vector for each text, in their order.

        Args:
            texts: At least one; exactly one for a query.
            query: True for a query, which some models embed in another way than documents.
            timeout_s: Seconds to wait at most, for a client that has to be told; the attempt is
                given up by then in any case.
        """
        ...

    async def aembed(self, texts: list[str], *, query: bool, timeout_s: float) -> Reply[Vectors]:
        """Return a vector for each text, in their order, within ``timeout_s`` seconds."""
        ...


class OwnEmbedder:
    """Asks an embedding model of LangChain; how many tokens it counted it does not tell.

    Async calls use the model's own async client, from one event loop at a time; from a second
    event loop a thread makes a sync call, see ``loops``.

    Args:
        inner: The embedding model. Retries of its own delay the failover; ``max_retries=0`` is
            best.
    """

    def __init__(self, inner: Embeddings) -> None:
        self._inner = inner

    def embed(self, texts: list[str], *, query: bool, timeout_s: float) -> Reply[Vectors]:
        """Return a vector for each text; whoever calls this holds the time."""
        del timeout_s
        with _readable():
            if query:
                return _reply([self._inner.embed_query(texts[0])], texts)
            return _reply(self._inner.embed_documents(texts), texts)

    async def aembed(self, texts: list[str], *, query: bool, timeout_s: float) -> Reply[Vectors]:
        """Return a vector for each text; whoever calls this holds the time."""
        del timeout_s
        for _ in range(STALE_CONNECTIONS):
            try:
                return await self._aembed(texts, query)
            except Exception as error:
                if not is_of_a_closed_loop(error):
                    raise
        return await self._aembed(texts, query)

    async def _aembed(self, texts: list[str], query: bool) -> Reply[Vectors]:
        call = type(self._inner) if is_the_clients_loop() else Embeddings
        with _readable():
            if query:
                return _reply([await call.aembed_query(self._inner, texts[0])], texts)
            return _reply(await call.aembed_documents(self._inner, texts), texts)


class _Embedding(Protocol):
    """What is called of the module ``litellm``."""

    def embedding(self, **request: Any) -> Any: ...

    async def aembedding(self, **request: Any) -> Any: ...


class LiteLLMEmbedder:
    """Asks one model of one provider through LiteLLM, without any retry of its own.

    Args:
        model: The model; its ``name`` is what the provider calls it.
        provider: Whose API it speaks, where, and with which credential.
        dimensions: Length of the vectors to ask for; None for the model's own.
    """

    def __init__(self, model: Model, provider: Provider, dimensions: int | None) -> None:
        self._model = model
        self._provider = provider
        self._dimensions = dimensions

    def embed(self, texts: list[str], *, query: bool, timeout_s: float) -> Reply[Vectors]:
        """Return a vector for each text, whose ``timeout_s`` is held by whoever calls this."""
        del query
        litellm = cast("_Embedding", load_litellm())
        return _read(litellm.embedding(**self._request(texts, timeout_s)), texts)

    async def aembed(self, texts: list[str], *, query: bool, timeout_s: float) -> Reply[Vectors]:
        """Return a vector for each text within ``timeout_s`` seconds."""
        del query
        litellm = cast("_Embedding", await aload_litellm())
        answer = await litellm.aembedding(**self._request(texts, timeout_s))
        return _read(answer, texts)

    def _request(self, texts: list[str], timeout_s: float) -> dict[str, Any]:
        request: dict[str, Any] = {
            **completion_params(self._provider, self._model),
            "input": texts,
            "timeout": client_timeout_s(timeout_s),
        }
        if self._dimensions is not None:
            request["dimensions"] = self._dimensions
            # LiteLLM knows of OpenAI's own models only; what a server can do it says itself.
            request["allowed_openai_params"] = ["dimensions"]
        return request


@contextmanager
def _readable() -> Generator[None]:
    """Let what a client library trips over in an answer be an answer that cannot be read.

    The texts have been looked at, so it is not the caller's fault.
    """
    try:
        yield
    except _TRIPPED as error:
        raise UnreadableReplyError(f"an answer that its client cannot read: {error}") from error
    except ValueError as error:
        if str(error).startswith(_NOTHING):
            raise UnreadableReplyError("no vectors") from error
        raise


def _read(answer: Any, texts: list[str]) -> Reply[Vectors]:
    """Read an answer of LiteLLM, whose vectors need not come in the order of the texts."""
    entries: list[Any] = list(getattr(answer, "data", None) or ())
    places = [_field(entry, "index") for entry in entries]
    if all(isinstance(place, int) for place in places):
        if sorted(places) != list(range(len(entries))):
            raise UnreadableReplyError("the vectors are numbered wrongly")
        entries.sort(key=lambda entry: _field(entry, "index"))
    usage = getattr(answer, "usage", None)
    tokens = getattr(usage, "prompt_tokens", None)
    vectors = [_field(entry, "embedding") for entry in entries]
    return _reply(vectors, texts, tokens if isinstance(tokens, int) else 0)


def _field(entry: Any, name: str) -> Any:
    if isinstance(entry, dict):
        return cast("dict[str, Any]", entry).get(name)
    return getattr(entry, name, None)


def _reply(vectors: Sequence[Any], texts: list[str], tokens: int = 0) -> Reply[Vectors]:
    """Return vectors as lists of floats, if there is one of the same length for each text."""
    if len(vectors) != len(texts):
        raise UnreadableReplyError(f"{len(vectors)} vectors for {len(texts)} texts")
    read = [_numbers(vector) for vector in vectors]
    lengths = sorted({len(vector) for vector in read})
    if len(lengths) != 1 or lengths == [0]:
        raise UnreadableReplyError(f"vectors of {lengths} dimensions in one answer")
    return Reply(read, Usage(input_tokens=tokens))


def _numbers(vector: Iterable[Any]) -> list[float]:
    try:
        if all(map(isfinite, vector)):
            return list(map(float, vector))
    except (OverflowError, TypeError):
        pass
    raise UnreadableReplyError("a vector that is no list of numbers")
