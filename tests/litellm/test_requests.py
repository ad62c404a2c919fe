"""What a single call asks of the router, and which arguments are nobody's but the deployment's."""

from __future__ import annotations

from typing import Any

import litellm
import pytest

from capability_router import Model
from capability_router.lab import server_error
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
    ],
)
def test_routing_that_cannot_be_understood_is_the_callers_fault(
    setup: Setup, options: Any, told: str
) -> None:
    with pytest.raises(litellm.BadRequestError, match=told):
        setup.host.completion(model=CHAT, messages=QUESTION, capability_router=options)
    assert setup.calls() == [0, 0, 0]


@pytest.mark.parametrize("name", ["api_key", "api_base", "base_url"])
def test_a_callers_key_or_address_goes_to_no_provider(setup: Setup, name: str) -> None:
    with pytest.raises(litellm.BadRequestError, match=f"{name} is the deployment's"):
        setup.host.completion(model=CHAT, messages=QUESTION, **{name: "sk-canary"})
    assert setup.calls() == [0, 0, 0]


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
