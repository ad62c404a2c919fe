"""Facts about models and providers, and records made of them."""

import json
import pickle
from dataclasses import replace

import pytest

from capability_router.engine.feature import Feature
from capability_router.engine.model import Model, Price, Provider, Secret
from capability_router.engine.outcome import Attempt, FailureKind, Usage
from capability_router.engine.request import CompletionRequest
from capability_router.router import CapabilityRouter


@pytest.mark.parametrize(
    ("made", "provider", "name"),
    [
        (Model("groq/llama", ("ocr",)), "groq", "llama"),
        (Model("openrouter/meta/llama", ("ocr",)), "openrouter", "meta/llama"),
        (Model("local", ("ocr",)), "local", "local"),
        (Model("groq/llama", ("ocr",), provider="eu", name="own"), "eu", "own"),
    ],
)
def test_provider_and_name_are_read_from_the_id_unless_stated(
    made: Model, provider: str, name: str
) -> None:
    assert (made.provider, made.name) == (provider, name)


@pytest.mark.parametrize("wrong", ["chat-completion", (), []])
def test_capabilities_are_a_list_of_at_least_one_name(wrong: object) -> None:
    with pytest.raises(ValueError, match="must be a non-empty list of names"):
        Model("a/x", wrong)  # type: ignore[arg-type]  # on purpose


def test_capability_named_twice_counts_once() -> None:
    assert Model("a/x", ("ocr", "reranking", "ocr")).capabilities == ("ocr", "reranking")


@pytest.mark.parametrize(
    ("features", "requires", "lack"),
    [
        (None, {"vision"}, None),
        (frozenset(), set(), None),
        ({"vision", "streaming"}, {"vision"}, None),
        ({Feature.VISION}, {"vision"}, None),
        (set(), {"vision", "json_mode"}, "lacks json_mode, vision"),
    ],
)
def test_model_says_which_feature_it_lacks(
    features: frozenset[str] | None, requires: set[str], lack: str | None
) -> None:
    request = CompletionRequest("ocr", frozenset(requires))
    assert Model("a/x", ("ocr",), features=features).lacks(request) == lack


@pytest.mark.parametrize(
    ("window", "tokens", "lack"),
    [
        (None, (10**9, 1), None),
        (1000, (600, 400), None),
        (1000, (600, 401), "context window 1000 < 1001 tokens"),
    ],
)
def test_window_must_hold_prompt_and_answer_together(
    window: int | None, tokens: tuple[int, int], lack: str | None
) -> None:
    request = CompletionRequest("ocr", input_tokens=tokens[0], output_tokens=tokens[1])
    assert Model("a/x", ("ocr",), context_window=window).lacks(request) == lack


@pytest.mark.parametrize(
    ("made", "space"),
    [
        (Model("openai/text-embedding-3-small", ("ocr",)), "text-embedding-3-small"),
        (Model("openrouter/openai/text-embedding-3-small", ("ocr",)), "text-embedding-3-small"),
        (Model("hosted/BAAI/bge-m3", ("ocr",)), "bge-m3"),
        (Model("ollama/nomic-embed-text:v1.5", ("ocr",)), "nomic-embed-text:v1.5"),
        (Model("azure/mine", ("ocr",), vector_space="Small"), "Small"),
        (Model("azure/mine", ("ocr",), vector_space="Small", dimensions=256), "Small[256]"),
        (Model("a/e5", ("ocr",), dimensions=384), "e5[384]"),
        (Model("a/e5/", ("ocr",)), "e5/"),
    ],
)
def test_vector_space_is_the_declared_one_or_the_bare_name_with_the_dimensions(
    made: Model, space: str
) -> None:
    assert made.embedding_space == space


def test_model_of_another_vector_space_does_not_serve() -> None:
    made = Model("a/e5", ("ocr",), dimensions=384)
    assert made.lacks(CompletionRequest("ocr")) is None
    assert made.lacks(CompletionRequest("ocr", vector_space="e5[384]")) is None
    other = CompletionRequest("ocr", vector_space="bge-m3")
    assert made.lacks(other) == "embeds into 'e5[384]', not 'bge-m3'"


def test_cost_is_per_million_tokens() -> None:
    assert Price(input=2.0, output=8.0).cost_usd(500_000, 250_000) == 3.0
    assert Usage(3, 4).total_tokens == 7


def test_secret_shows_itself_to_nobody() -> None:
    secret = Secret("sk-123")
    provider = Provider("groq", api_key=secret)
    for shown in (repr(secret), str(secret), f"{secret}", repr(provider)):
        assert "sk-123" not in shown
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(provider)
    assert secret.reveal() == "sk-123"


@pytest.mark.parametrize(
    ("provider", "vendor"),
    [
        (Provider("groq"), "groq"),
        (Provider("local", base_url="http://127.0.0.1:1"), "openai"),
        (Provider("eu", vendor="azure", base_url="http://127.0.0.1:1"), "azure"),
    ],
)
def test_vendor_is_the_id_or_whatever_speaks_openais_language(
    provider: Provider, vendor: str
) -> None:
    assert provider.vendor == vendor


def test_provider_nobody_described_is_reached_in_its_vendors_way() -> None:
    described = Provider("eu", vendor="azure")
    router = CapabilityRouter(providers=[described])
    assert router.provider("eu") is described
    assert router.provider("groq") == Provider("groq")


def test_attempt_is_one_readable_line_and_plain_values() -> None:
    attempt = Attempt("a/x", "a", FailureKind.TIMEOUT, 408, 1.23456789, error=OSError("sk-123"))
    assert str(attempt) == "a/x: timeout (HTTP 408) in 1.23 s"
    assert str(Attempt("a/x", "a")) == "a/x: served in 0.00 s"
    assert "sk-123" not in repr(attempt)
    assert json.loads(json.dumps(attempt.as_dict())) == {
        "model": "a/x",
        "provider": "a",
        "kind": "timeout",
        "status": 408,
        "latency_s": 1.234568,
        "probe": False,
        "hedge": False,
        "pool": "",
        "started_at": 0.0,
        "first_token_s": None,
        "wait_s": 0.0,
        "input_tokens": 0,
        "output_tokens": 0,
        "cost_usd": None,
        "retry_after_s": None,
    }
    assert Attempt.from_dict(attempt.as_dict()) == replace(attempt, latency_s=1.234568)


@pytest.mark.parametrize("concurrency", [0, -1])
def test_limit_of_nothing_is_refused(concurrency: int) -> None:
    with pytest.raises(ValueError, match="concurrency"):
        Model("a/m", ("chat-completion",), concurrency=concurrency)


@pytest.mark.parametrize("concurrency", [1.5, "adaptive", True])
def test_limit_that_is_no_whole_number_is_refused(concurrency: object) -> None:
    with pytest.raises(TypeError, match="concurrency"):
        Model("a/m", ("chat-completion",), concurrency=concurrency)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - what is refused
