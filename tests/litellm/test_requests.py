"""What a single call asks of the router, and which arguments are nobody's but the deployment's."""

from __future__ import annotations

from typing import Any

import litellm
import openai
import pytest

from capability_router import AllModelsFailedError, Attempt, FailureKind, Model
from capability_router.lab import server_error
from litellm_capability_router import CapabilityUnavailableError
from litellm_capability_router.errors import as_litellm_errors
from tests.litellm.surfaces import CHAT, QUESTION, Setup, attached


@pytest.fixture
def place() -> Any:
    return attached


def test_each_call_may_say_how_it_is_routed(setup: Setup) -> None:
    ask = {"model": CHAT, "messages": QUESTION}
    answer = setup.host.completion(**ask, capability_router={"prefers": ["gamma"]})
    assert "gamma" in answer.choices[0].message.content
    answer = setup.host.completion(**ask, capability_router={"model": "beta/m"})
    assert "beta" in answer.choices[0].message.content
    assert "capability_router" not in (setup.lab["beta"].requests[0].body or {})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"prefer": ["gamma"]}, "has no 'prefer'"),
        ({"prefers": "gamma"}, r"\['gamma'\]"),
        ({"requires": ["sight"]}, "unknown feature 'sight'"),
        ({"deadline_s": "soon"}, "deadline_s"),
        ("gamma", "must be a mapping"),
        ({"requires": "vision"}, r"\['vision'\]"),
        ({"session": ["a"]}, "session"),
        ({"side_effects": "yes"}, "side_effects 'yes' must be true or false"),
    ],
)
def test_routing_that_cannot_be_understood_is_the_callers_fault(
    setup: Setup, options: Any, told: str
) -> None:
    with pytest.raises(litellm.BadRequestError, match=told):
        setup.host.completion(model=CHAT, messages=QUESTION, capability_router=options)
    assert setup.calls() == [0, 0, 0]


@pytest.mark.parametrize(
    "given",
    [
        {"api_key": "sk-canary"},
        {"api_base": "http://127.0.0.1:1"},
        {"base_url": "http://127.0.0.1:1"},
        {"deployment_id": "m"},
        {"mock_response": "litellm.RateLimitError"},
        {"headers": {"Authorization": "Bearer sk-canary"}},
        {"extra_headers": {"X-API-Key": "sk-canary"}},
    ],
    ids=lambda given: next(iter(given)),
)
def test_a_callers_key_or_address_goes_to_no_provider_and_harms_none(
    setup: Setup, given: dict[str, Any]
) -> None:
    with pytest.raises(litellm.BadRequestError, match="the deployment's") as caught:
        setup.host.completion(model=CHAT, messages=QUESTION, **given)
    assert "sk-canary" not in str(caught.value)
    assert setup.calls() == [0, 0, 0]
    assert setup.resting() == []


@pytest.mark.parametrize(
    "given",
    [
        {"stream": "false"},
        {"stream_options": "x"},
        {"metadata": "x"},
        {"headers": "x"},
        {"timeout": 0},
        {"timeout": -1.0},
    ],
    ids=str,
)
def test_what_litellm_would_choke_on_is_refused_before_anybody_is_asked(
    setup: Setup, given: dict[str, Any]
) -> None:
    with pytest.raises(litellm.BadRequestError, match=next(iter(given))):
        setup.host.completion(model=CHAT, messages=QUESTION, **given)
    assert setup.router.decisions == []


def test_a_conversation_goes_on_where_it_is_kept(setup: Setup) -> None:
    for provider in setup.lab:
        setup.router.register(Model(f"{provider.name}/gpt-4o-mini", ("summarization",)))
    setup.lab["alpha"].script(server_error())
    first = setup.host.responses(model="summarization", input="one")
    setup.router.recover("alpha/gpt-4o-mini")
    setup.host.responses(model="summarization", input="two", previous_response_id=first.id)
    assert setup.calls() == [1, 2, 0]


def test_arguments_may_be_given_without_their_names(setup: Setup) -> None:
    assert "alpha" in setup.host.completion(CHAT, QUESTION).choices[0].message.content
    with pytest.raises(TypeError, match="takes 2 arguments without a name"):
        setup.host.completion(CHAT, QUESTION, 3)


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("embedding", {"input": ["one"]}),
        ("image_generation", {"prompt": "a sun"}),
        ("rerank", {"query": "one", "documents": ["one"]}),
        ("speech", {"input": "one", "voice": "alloy"}),
    ],
)
def test_what_a_capability_is_not_made_for_is_refused_and_nobody_is_blamed(
    setup: Setup, method: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(litellm.BadRequestError, match=rf"'chat-completion' .* {method}\(\)"):
        getattr(setup.host, method)(model="chat-completion", **arguments)
    assert setup.calls() == [0, 0, 0]


def test_a_chat_is_not_asked_of_models_that_embed(setup: Setup) -> None:
    setup.router.register(Model("alpha/e", ("text-embeddings",)))
    with pytest.raises(litellm.BadRequestError, match="text-embeddings"):
        setup.host.completion(model="text-embeddings", messages=QUESTION)


def test_nodes_of_ones_own_may_be_asked_anything(setup: Setup) -> None:
    setup.router.tree.add_node("", "own")
    setup.router.tree.add_node("own", "vectors")
    setup.router.register(Model("alpha/e", ("own.vectors",)))
    assert setup.host.embedding(model="own.vectors", input=["one"]).data
    assert setup.host.completion(model="own.vectors", messages=QUESTION).choices


def test_a_model_that_does_not_exist_is_the_callers_mistake(setup: Setup) -> None:
    with pytest.raises(litellm.BadRequestError, match="nearest: alpha/m"):
        setup.host.completion(model=CHAT, messages=QUESTION, capability_router={"model": "alhpa/m"})


def test_what_no_model_can_do_is_a_bad_request_and_not_to_be_tried_again() -> None:
    tried = [Attempt(f"{name}/m", name, FailureKind.UNSUPPORTED, 400) for name in ("one", "two")]
    with pytest.raises(litellm.BadRequestError, match="two/m: unsupported"), as_litellm_errors():
        raise AllModelsFailedError("chat-completion", attempts=tried)
    with pytest.raises(CapabilityUnavailableError), as_litellm_errors():
        raise AllModelsFailedError("chat-completion", attempts=tried, retry_after_s=3.0)


@pytest.mark.parametrize(
    "given",
    [
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        {"response_format": "x"},
        {"additional_drop_params": 5},
    ],
    ids=lambda given: next(iter(given)),
)
def test_what_litellm_cannot_write_down_rests_no_model(setup: Setup, given: Any) -> None:
    for _ in range(4):
        with pytest.raises(openai.APIStatusError) as caught:
            setup.host.completion(**{"model": CHAT, "messages": QUESTION, **given})
        assert caught.value.status_code == 400
    assert setup.calls() == [0, 0, 0]
    assert setup.resting() == []
