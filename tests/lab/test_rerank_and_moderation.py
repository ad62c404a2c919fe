"""The endpoints that rank documents and judge texts."""

import json
from collections.abc import Callable

import httpx
import openai
import pytest

from capability_router.lab import (
    Fault,
    HashEmbeddings,
    Lab,
    LabProvider,
    cut_stream,
    html,
    malformed_chunk,
    quota,
    rate_limited,
    reset,
    server_error,
)
from tests.lab.asking import post

Client = Callable[[LabProvider], openai.OpenAI]

DOCUMENTS = ["green pear", "red apple", "red car"]
BODIES: dict[str, dict[str, object]] = {
    "/rerank": {"model": "ranker", "query": "a red apple", "documents": DOCUMENTS},
    "/moderations": {"model": "judge", "input": "good day"},
    "/embeddings": {"model": "m", "input": "good day"},
}
endpoints = pytest.mark.parametrize(("path", "body"), BODIES.items(), ids=BODIES)


def rerank(raw: httpx.Client, provider: LabProvider, **fields: object) -> httpx.Response:
    return post(raw, provider, {**BODIES["/rerank"], **fields}, "/rerank")


def moderate(raw: httpx.Client, provider: LabProvider, wanted: object) -> list[dict[str, object]]:
    response = post(raw, provider, {"input": wanted}, "/moderations")
    assert response.status_code == 200
    results: list[dict[str, object]] = response.json()["results"]
    return results


def test_documents_come_back_best_first_by_index_without_their_text(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    response = rerank(raw, provider_lab["alpha"])
    reply = response.json()
    assert [result["index"] for result in reply["results"]] == [1, 2, 0]
    scores = [result["relevance_score"] for result in reply["results"]]
    assert scores == sorted(scores, reverse=True)
    assert all(set(result) == {"index", "relevance_score"} for result in reply["results"])
    assert (reply["id"], reply["model"]) == ("rerank-alpha-1", "ranker")
    assert reply["usage"] == {"prompt_tokens": 9, "total_tokens": 9}
    assert response.headers["x-lab-answers"] == "hash"


def test_relevance_is_the_cosine_of_the_vectors(provider_lab: Lab, raw: httpx.Client) -> None:
    query, _, apple, _ = HashEmbeddings().vectors(["a red apple", *DOCUMENTS])
    cosine = sum(map(float.__mul__, query, apple))
    best = rerank(raw, provider_lab["alpha"]).json()["results"][0]
    assert best["relevance_score"] == pytest.approx(cosine)
    same = rerank(raw, provider_lab["alpha"], documents=["a red apple"]).json()["results"][0]
    assert same["relevance_score"] == pytest.approx(1)


def test_documents_may_be_objects_and_come_back_where_asked_for(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    documents = ["red car", {"text": "red apple", "page": 3}]
    reply = rerank(raw, provider_lab["alpha"], documents=documents, return_documents=True).json()
    assert [result["document"] for result in reply["results"]] == [
        {"text": "red apple"},
        {"text": "red car"},
    ]


@pytest.mark.parametrize(("top_n", "count"), [(1, 1), (2, 2), (9, 3), (None, 3)])
def test_only_the_best_are_returned(
    provider_lab: Lab, raw: httpx.Client, top_n: int | None, count: int
) -> None:
    results = rerank(raw, provider_lab["alpha"], top_n=top_n).json()["results"]
    assert [result["index"] for result in results] == [1, 2, 0][:count]


def test_equal_documents_keep_their_order(provider_lab: Lab, raw: httpx.Client) -> None:
    results = rerank(raw, provider_lab["alpha"], documents=["same"] * 4).json()["results"]
    assert [result["index"] for result in results] == [0, 1, 2, 3]


def test_moderation_is_read_by_openais_own_client(provider_lab: Lab, openai_client: Client) -> None:
    client = openai_client(provider_lab["alpha"])
    reply = client.moderations.create(input="I will kill you, idiot!")
    (result,) = reply.results
    assert result.flagged
    assert (result.categories.violence, result.categories.harassment) == (True, True)
    assert (result.categories.hate, result.categories.self_harm) == (False, False)
    assert result.category_scores.violence == 0.99
    assert result.category_scores.hate == 0.01
    assert result.category_applied_input_types.violence == ["text"]
    assert (reply.id, reply.model) == ("modr-alpha-1", "omni-moderation-latest")


def test_every_text_of_a_list_has_its_own_result(provider_lab: Lab, raw: httpx.Client) -> None:
    results = moderate(raw, provider_lab["alpha"], ["good day", "what a loser", "skill"])
    assert [result["flagged"] for result in results] == [False, True, False]


def test_parts_of_a_message_have_one_result_together(provider_lab: Lab, raw: httpx.Client) -> None:
    parts = [
        {"type": "text", "text": "look at"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "text", "text": "this moron"},
    ]
    (result,) = moderate(raw, provider_lab["alpha"], parts)
    assert result["flagged"] is True


@pytest.mark.parametrize(
    ("path", "changed", "param"),
    [
        ("/rerank", {"model": ""}, "model"),
        ("/rerank", {"query": ""}, "query"),
        ("/rerank", {"query": ["a"]}, "query"),
        ("/rerank", {"documents": []}, "documents"),
        ("/rerank", {"documents": "red"}, "documents"),
        ("/rerank", {"documents": ["red", {"title": "x"}]}, "documents"),
        ("/rerank", {"top_n": 0}, "top_n"),
        ("/rerank", {"top_n": True}, "top_n"),
        ("/rerank", {"top_n": 1.5}, "top_n"),
        ("/rerank", {"return_documents": "yes"}, "return_documents"),
        ("/moderations", {"model": 3}, "model"),
        ("/moderations", {"input": None}, "input"),
        ("/moderations", {"input": []}, "input"),
        ("/moderations", {"input": [3]}, "input"),
        ("/moderations", {"input": ["a", {"type": "text", "text": 3}]}, "input"),
        ("/moderations", {"input": [{"type": "image_url", "image_url": "x"}]}, "input"),
        ("/moderations", {"input": [{"type": "audio", "text": "a"}]}, "input"),
        ("/embeddings", {"dimensions": True}, "dimensions"),
        ("/embeddings", {"dimensions": 4097}, "dimensions"),
        ("/embeddings", {"dimensions": 2.5}, "dimensions"),
    ],
)
def test_wrong_field_is_a_400_that_names_it(
    provider_lab: Lab,
    raw: httpx.Client,
    path: str,
    changed: dict[str, object],
    param: str,
) -> None:
    response = post(raw, provider_lab["alpha"], {**BODIES[path], **changed}, path)
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)


@endpoints
@pytest.mark.parametrize(
    ("fault", "status"), [(rate_limited(retry_after=7), 429), (server_error(), 500)]
)
def test_error_faults_meet_these_endpoints_too(
    provider_lab: Lab,
    raw: httpx.Client,
    path: str,
    body: dict[str, object],
    fault: Fault,
    status: int,
) -> None:
    provider_lab["alpha"].script(fault)
    assert post(raw, provider_lab["alpha"], body, path).status_code == status
    assert post(raw, provider_lab["alpha"], body, path).status_code == 200


@endpoints
@pytest.mark.parametrize("fault", [reset(), cut_stream(0)])
def test_broken_connections_meet_these_endpoints_too(
    provider_lab: Lab, raw: httpx.Client, path: str, body: dict[str, object], fault: Fault
) -> None:
    provider_lab["alpha"].script(fault)
    with pytest.raises(httpx.TransportError):
        post(raw, provider_lab["alpha"], body, path)


@endpoints
@pytest.mark.parametrize("fault", [html(), malformed_chunk(0), cut_stream(0, "close")])
def test_bodies_that_are_no_json_meet_these_endpoints_too(
    provider_lab: Lab, raw: httpx.Client, path: str, body: dict[str, object], fault: Fault
) -> None:
    provider_lab["alpha"].script(fault)
    response = post(raw, provider_lab["alpha"], body, path)
    assert response.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        response.json()


@endpoints
def test_quota_counts_requests_of_these_endpoints_but_not_refused_ones(
    provider_lab: Lab, raw: httpx.Client, path: str, body: dict[str, object]
) -> None:
    provider_lab["alpha"].quota = quota(1)
    wrong = post(raw, provider_lab["alpha"], {"model": "m"}, path)
    first, second = (post(raw, provider_lab["alpha"], body, path) for _ in range(2))
    assert (wrong.status_code, first.status_code, second.status_code) == (400, 200, 429)


@pytest.mark.parametrize("path", BODIES)
def test_wrong_method_is_a_405(provider_lab: Lab, raw: httpx.Client, path: str) -> None:
    response = raw.get(f"{provider_lab['alpha'].base_url}{path}")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
