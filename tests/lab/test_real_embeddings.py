"""Vectors of a real model, and what is said where it is not installed."""

import importlib.util
import logging
import math
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec

import httpx
import openai
import pytest

from capability_router.lab import (
    HashEmbeddings,
    Lab,
    LabError,
    LabProvider,
    WordLlamaEmbeddings,
    wordllama_is_installed,
)
from tests.lab.asking import post

PASSWORD = "how do I reset my password"
LOGIN = "I forgot my login credentials"
WEATHER = "the weather is sunny today"


@pytest.fixture(scope="module")
def real_lab() -> Iterator[Lab]:
    if not wordllama_is_installed():
        pytest.skip("the model's package, wordllama, is not installed")
    with Lab(["alpha", "beta"], answers="echo", embeddings="wordllama") as lab:
        yield lab


@pytest.fixture
def real(real_lab: Lab) -> Lab:
    real_lab.reset()
    return real_lab


def embedded(raw: httpx.Client, provider: LabProvider, **fields: object) -> list[list[float]]:
    response = post(raw, provider, {"model": "m", **fields}, "/embeddings")
    assert response.status_code == 200
    assert response.headers["x-lab-answers"] == "wordllama"
    return [entry["embedding"] for entry in response.json()["data"]]


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(map(float.__mul__, one, other))


def test_texts_of_like_meaning_are_near_without_a_word_in_common(
    real: Lab, raw: httpx.Client
) -> None:
    password, login, weather = embedded(raw, real["alpha"], input=[PASSWORD, LOGIN, WEATHER])
    assert cosine(password, login) > cosine(password, weather) + 0.3


@pytest.mark.parametrize("dimensions", [64, 128, 256])
def test_vectors_can_be_shortened_and_keep_length_one_and_their_meaning(
    real: Lab, raw: httpx.Client, dimensions: int
) -> None:
    texts = [PASSWORD, LOGIN, WEATHER]
    vectors = embedded(raw, real["alpha"], input=texts, dimensions=dimensions)
    assert [len(vector) for vector in vectors] == [dimensions] * 3
    assert [math.hypot(*vector) for vector in vectors] == pytest.approx([1] * 3)
    whole = embedded(raw, real["alpha"], input=texts)[0]
    length = math.hypot(*whole[:dimensions])
    assert vectors[0] == pytest.approx([value / length for value in whole[:dimensions]])
    assert cosine(vectors[0], vectors[1]) > cosine(vectors[0], vectors[2]) + 0.2


@pytest.mark.parametrize("dimensions", [0, 65, 512])
def test_dimensions_the_model_does_not_have_are_a_400_that_names_those_it_has(
    real: Lab, raw: httpx.Client, dimensions: int
) -> None:
    body = {"model": "m", "input": "a", "dimensions": dimensions}
    response = post(raw, real["alpha"], body, "/embeddings")
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "dimensions"
    assert "64, 128, 256" in response.json()["error"]["message"]


def test_vectors_are_the_same_on_every_provider_alone_and_in_a_batch_and_in_both_encodings(
    real: Lab, raw: httpx.Client, openai_client: Callable[[LabProvider], openai.OpenAI]
) -> None:
    # OpenAI's client asks for base64 where nothing is said, and decodes it.
    packed = openai_client(real["beta"]).embeddings.create(model="m", input=PASSWORD).data[0]
    plain, _ = embedded(raw, real["alpha"], input=[PASSWORD, LOGIN * 3])
    assert packed.embedding == pytest.approx(plain, abs=1e-6)


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_text_without_a_word_has_a_vector_of_length_one_all_the_same(
    real: Lab, raw: httpx.Client, text: str
) -> None:
    (vector,) = embedded(raw, real["alpha"], input=[text])
    assert math.hypot(*vector) == pytest.approx(1)


def test_documents_are_ranked_by_meaning(real: Lab, raw: httpx.Client) -> None:
    body = {"model": "m", "query": PASSWORD, "documents": [WEATHER, LOGIN]}
    response = post(raw, real["alpha"], body, "/rerank")
    assert [result["index"] for result in response.json()["results"]] == [1, 0]
    assert response.headers["x-lab-answers"] == "wordllama"


def test_automatic_choice_is_the_model_where_it_is_installed(real: Lab, raw: httpx.Client) -> None:
    with Lab(["alpha"], answers="echo", embeddings="auto") as lab:
        assert embedded(raw, lab["alpha"], input=PASSWORD) == embedded(
            raw, real["alpha"], input=PASSWORD
        )


def test_model_changes_nothing_in_the_logging_of_the_process(real: Lab) -> None:
    assert len(real) == 2
    program = (
        "import logging; from capability_router.lab import WordLlamaEmbeddings as E;"
        "E().start(); root = logging.getLogger(); print(root.handlers, root.level)"
    )
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert told.stdout.decode().split() == ["[]", str(logging.WARNING)]


def test_hash_stays_the_choice_where_nothing_is_said(raw: httpx.Client) -> None:
    with Lab(["alpha"], answers="echo") as lab:
        response = post(raw, lab["alpha"], {"model": "m", "input": "a"}, "/embeddings")
    assert response.headers["x-lab-answers"] == "hash"
    assert len(response.json()["data"][0]["embedding"]) == 64


def test_own_source_of_vectors_is_used_and_named(raw: httpx.Client) -> None:
    class OneDirection(HashEmbeddings):
        name = "mine"

        def vectors(self, texts: Sequence[str], dimensions: int | None = None) -> list[list[float]]:
            assert dimensions is None
            return [[1.0, 0.0] for _ in texts]

    with Lab(["alpha"], answers="echo", embeddings=OneDirection()) as lab:
        response = post(raw, lab["alpha"], {"model": "m", "input": ["a", "b"]}, "/embeddings")
    assert [entry["embedding"] for entry in response.json()["data"]] == [[1.0, 0.0]] * 2
    assert response.headers["x-lab-answers"] == "mine"


def test_unknown_choice_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"auto, hash, wordllama or a source, found 'word'"):
        Lab(["alpha"], embeddings="word")  # type: ignore[arg-type]  # as someone may write it


def _nothing_found(name: str) -> ModuleSpec | None:
    return None


def test_missing_package_is_named_with_the_remedy_and_nothing_stays_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", _nothing_found)
    assert not wordllama_is_installed()
    lab = Lab(["alpha"], answers="echo", embeddings="wordllama")
    with pytest.raises(LabError, match=r"wordllama.*pip install wordllama"):
        lab.start()
    assert not lab["alpha"].is_listening


def test_automatic_choice_is_the_hash_without_the_package(
    monkeypatch: pytest.MonkeyPatch, raw: httpx.Client
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", _nothing_found)
    with Lab(["alpha"], answers="echo", embeddings="auto") as lab:
        response = post(raw, lab["alpha"], {"model": "m", "input": "a"}, "/embeddings")
    assert response.headers["x-lab-answers"] == "hash"


def test_closed_model_gives_no_vectors() -> None:
    source = WordLlamaEmbeddings()
    with pytest.raises(ConnectionError, match="not running"):
        source.vectors(["a"])
