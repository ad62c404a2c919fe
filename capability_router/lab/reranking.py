"""The endpoint for reranking, as Cohere, Jina and vLLM agree on it."""

from __future__ import annotations

from collections.abc import Mapping

from capability_router.lab.embeddings import EmbeddingSource
from capability_router.lab.json_values import as_mapping, as_sequence
from capability_router.lab.questions import required_model
from capability_router.lab.refusals import invalid

__all__ = [
    "rerank_reply",
]


def rerank_reply(
    body: Mapping[str, object], source: EmbeddingSource, identity: str
) -> dict[str, object]:
    """Answer a rerank request.

    Args:
        body: ``model``, ``query``, ``documents`` (texts, or objects with a ``text``), and
            optionally ``top_n`` (all by default) and ``return_documents`` (false by default).
        source: Makes the vectors.
        identity: Id of the reply.

    Returns:
        The reply with the best documents first: each with its ``index`` in the request and, as
        ``relevance_score``, the cosine of its vector and the query's, -1 to 1. Equals keep their
        order.

    Raises:
        RefusedError: With a 400, if a field is wrong.
    """
    model = required_model(body)
    query = body.get("query")
    if not isinstance(query, str) or not query:
        raise invalid("'query' must be a non-empty text.", "query")
    documents = _documents(body.get("documents"))
    top_n = _top_n(body.get("top_n"), len(documents))
    return_documents = body.get("return_documents", False)
    if not isinstance(return_documents, bool):
        raise invalid("'return_documents' must be true or false.", "return_documents")
    scores = _scores(query, documents, source)
    best = sorted(range(len(documents)), key=lambda index: -scores[index])[:top_n]
    results: list[dict[str, object]] = [
        {"index": index, "relevance_score": scores[index]} for index in best
    ]
    if return_documents:
        results = [
            {**kept, "document": {"text": documents[index]}}
            for kept, index in zip(results, best, strict=True)
        ]
    words = sum(len(text.split()) for text in (query, *documents))
    return {
        "id": identity,
        "model": model,
        "results": results,
        "meta": {"api_version": {"version": "1"}, "billed_units": {"search_units": 1}},
        "usage": {"prompt_tokens": words, "total_tokens": words},
    }


def _scores(query: str, documents: list[str], source: EmbeddingSource) -> list[float]:
    asked, *vectors = source.vectors([query, *documents])
    return [sum(map(float.__mul__, asked, vector)) for vector in vectors]


def _documents(wanted: object) -> list[str]:
    items = as_sequence(wanted)
    if not items:
        raise invalid("'documents' must be a non-empty list.", "documents")
    return [_text(item) for item in items]


def _text(document: object) -> str:
    text = document if isinstance(document, str) else (as_mapping(document) or {}).get("text")
    if not isinstance(text, str):
        raise invalid("'documents' must hold texts or objects with a 'text'.", "documents")
    return text


def _top_n(wanted: object, count: int) -> int:
    if wanted is None:
        return count
    if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 1:
        raise invalid("'top_n' must be a whole number of at least 1.", "top_n")
    return wanted
