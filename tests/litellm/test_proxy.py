"""A real proxy with the plugin, called with the OpenAI SDK: what its users see.

What the providers received is read off the lab, so that no answer can hide a wasted call. Each
test has a leaf and two deployments of its own: no test finds what another has broken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx
import openai
import pytest

from capability_router.lab import (
    Fault,
    Lab,
    bad_request,
    context_overflow,
    cut_stream,
    malformed_chunk,
    ok,
    overloaded,
    rate_limited,
    refused,
    server_error,
    unauthorized,
)
from tests.connections import connections, run
from tests.litellm.proxies import Proxy, deployment, proxy_config, running

_LEAVES = [f"case-{number}" for number in range(80)]
_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
QUESTION: list[Any] = [{"role": "user", "content": "good day"}]

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(["alpha", "beta"], answers="echo") as lab:
        yield lab


@pytest.fixture(scope="module")
def proxy(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    listed = [
        deployment(provider.base_url, f"{leaf}-{provider.name}", capabilities=[leaf])
        for leaf in _LEAVES
        for provider in lab
    ]
    for name in ("alpha", "beta"):
        own = deployment(lab[name].base_url, f"vectors-{name}", capabilities=["text-embeddings"])
        listed.append(own)
    listed.append(deployment(lab["alpha"].base_url, "outside"))
    listed.append({**deployment(lab["beta"].base_url, "clash"), "model_name": "summarization"})
    section = {
        "tree": {"trials": {"chats": _LEAVES}},
        "aliases": {"talk": "case-0"},
        "pools": {
            "chats": {
                "hierarchy_node": "trials.chats",
                "strategy": "priority",
                "model_priority": ["case-0-alpha"],
            }
        },
    }
    config = proxy_config(listed, capability_router=section)
    with running(tmp_path_factory.mktemp("proxy"), config) as proxy:
        yield proxy


_numbers = count()


@dataclass
class Case:
    """A leaf that no other test asks for, and a client of the proxy."""

    lab: Lab
    leaf: str
    proxy: Proxy
    client: openai.OpenAI

    def received(self) -> tuple[int, ...]:
        # The proxy asks each deployment once which models it has.
        return tuple(
            sum(request.method == "POST" for request in provider.requests) for provider in self.lab
        )

    def states(self) -> dict[str, Any]:
        models = self.proxy.told("health")
        return {model["id"]: model for model in models if model["id"].startswith(f"{self.leaf}-")}


@pytest.fixture
def case(lab: Lab, proxy: Proxy) -> Iterator[Case]:
    for provider in lab:
        provider.reset()
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=proxy.key, max_retries=0) as client:
        yield Case(lab, _LEAVES[next(_numbers)], proxy, client)


Ask = Callable[[Case], str]


def plain(case: Case) -> str:
    answer = case.client.chat.completions.create(model=case.leaf, messages=QUESTION)
    assert answer.model == case.leaf
    return answer.choices[0].message.content or ""


def streamed(case: Case) -> str:
    chunks = list(
        case.client.chat.completions.create(model=case.leaf, messages=QUESTION, stream=True)
    )
    assert {chunk.model for chunk in chunks} == {case.leaf}
    assert chunks[-1].choices[0].finish_reason == "stop"
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def async_(case: Case) -> str:
    async def ask() -> str:
        url = f"{case.proxy.url}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key=case.proxy.key, max_retries=0) as own:
            answer = await own.chat.completions.create(model=case.leaf, messages=QUESTION)
            return answer.choices[0].message.content or ""

    with connections():
        return run(ask())


def async_streamed(case: Case) -> str:
    async def ask() -> str:
        url = f"{case.proxy.url}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key=case.proxy.key, max_retries=0) as own:
            chunks = await own.chat.completions.create(
                model=case.leaf, messages=QUESTION, stream=True
            )
            return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

    with connections():
        return run(ask())


ASKS: dict[str, Ask] = {
    "chat": plain,
    "stream": streamed,
    "async chat": async_,
    "async stream": async_streamed,
}


@dataclass(frozen=True)
class Scenario:
    """What is wrong with each provider, and what has to come of it.

    Attributes:
        alpha: What happens to the first provider's requests.
        beta: The same of the second.
        received: Requests that each has to receive.
        served_by: Who serves; None where an error is to come.
        status: Status of that error.
    """

    alpha: Fault
    beta: Fault
    received: tuple[int, int]
    served_by: str | None = None
    status: int = 200


SCENARIOS = {
    "all well": Scenario(ok(), ok(), (1, 0), "alpha"),
    "first overloaded": Scenario(overloaded(), ok(), (1, 1), "beta"),
    "first limited": Scenario(rate_limited(retry_after=9), ok(), (1, 1), "beta"),
    "first unauthorized": Scenario(unauthorized(), ok(), (1, 1), "beta"),
    "first gone": Scenario(refused(), ok(), (0, 1), "beta"),
    "first too small": Scenario(context_overflow(), ok(), (1, 1), "beta"),
    "bad request": Scenario(bad_request(), ok(), (1, 0), status=400),
    "all too small": Scenario(context_overflow(), context_overflow(), (1, 1), status=400),
    "all down": Scenario(server_error(), overloaded(), (1, 1), status=503),
    "all unauthorized": Scenario(unauthorized(), unauthorized(), (1, 1), status=503),
}


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_each_way_to_ask_sees_the_same(case: Case, scenario: Scenario, ask: Ask) -> None:
    case.lab["alpha"].fault, case.lab["beta"].fault = scenario.alpha, scenario.beta
    if scenario.served_by is not None:
        assert ask(case) == f"{scenario.served_by} echoes: good day"
    else:
        with pytest.raises(openai.APIStatusError) as caught:
            ask(case)
        assert caught.value.status_code == scenario.status
    assert case.received() == scenario.received
    assert [model["in_flight"] for model in case.states().values()] == [0, 0]


def test_answer_says_which_deployment_served_and_at_which_attempt(case: Case) -> None:
    case.lab["alpha"].fault = server_error()
    for stream in (False, True):
        raw = case.client.chat.completions.with_raw_response.create(
            model=case.leaf, messages=QUESTION, stream=stream
        )
        told = {name: value for name, value in raw.headers.items() if "served-by" in name}
        assert told == {"x-capability-router-served-by": f"{case.leaf}-beta"}
        assert raw.headers["x-litellm-model-id"] == f"{case.leaf}-beta"
        assert raw.headers["x-capability-router-attempts"] == "2"


def test_total_failure_names_every_attempt_and_when_to_come_back(case: Case) -> None:
    case.lab["alpha"].fault = rate_limited(retry_after=40)
    case.lab["beta"].fault = rate_limited(retry_after=30)
    with pytest.raises(openai.InternalServerError) as caught:
        plain(case)
    error: Any = caught.value
    assert error.status_code == 503
    assert f"{case.leaf}-alpha: rate_limited (HTTP 429)" in error.message
    assert f"{case.leaf}-beta: rate_limited (HTTP 429)" in error.message
    assert error.response.headers["retry-after"] in ("29", "30")


@pytest.mark.parametrize("fault", [cut_stream(after=0), malformed_chunk(after=0)])
def test_stream_that_breaks_before_its_first_text_goes_on_with_the_next_model(
    case: Case, fault: Fault
) -> None:
    case.lab["alpha"].fault = fault
    assert streamed(case) == "beta echoes: good day"
    assert case.received() == (1, 1)


def test_stream_is_asked_for_its_usage_so_that_it_can_be_charged(case: Case) -> None:
    chunks = list(
        case.client.chat.completions.create(model=case.leaf, messages=QUESTION, stream=True)
    )
    asked: Any = case.lab["alpha"].requests[-1].body
    assert asked["stream_options"] == {"include_usage": True}
    assert not any(chunk.usage for chunk in chunks)


def test_stream_that_breaks_within_its_text_ends_with_an_error(case: Case) -> None:
    case.lab["alpha"].fault = cut_stream(after=2)
    chunks = case.client.chat.completions.create(model=case.leaf, messages=QUESTION, stream=True)
    texts: list[str] = []
    with pytest.raises(openai.APIError, match="the stream broke after"):
        texts.extend(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert "".join(texts)
    assert "alpha echoes: good day".startswith("".join(texts))
    assert case.received() == (1, 0)
    assert case.states()[f"{case.leaf}-alpha"]["consecutive_failures"] == 1


def test_tools_are_called_across_a_failover(case: Case) -> None:
    case.lab["alpha"].fault = server_error()
    tool: Any = {"type": "function", "function": {"name": "weather", "parameters": _SCHEMA}}
    answer = case.client.chat.completions.create(
        model=case.leaf, messages=QUESTION, tools=[tool], tool_choice="required"
    )
    call: Any = (answer.choices[0].message.tool_calls or [])[0]
    assert call.function.name == "weather"
    assert case.received() == (1, 1)


def test_json_schema_is_kept_across_a_failover(case: Case) -> None:
    case.lab["alpha"].fault = server_error()
    shape: Any = {"type": "json_schema", "json_schema": {"name": "city", "schema": _SCHEMA}}
    answer = case.client.chat.completions.create(
        model=case.leaf, messages=QUESTION, response_format=shape
    )
    assert '"city"' in (answer.choices[0].message.content or "")
    assert case.received() == (1, 1)


def test_embeddings_fail_over_too(case: Case) -> None:
    case.lab["alpha"].fault = server_error()
    answer = case.client.embeddings.create(model="text-embeddings", input=["one", "two"])
    assert [len(each.embedding) > 1 for each in answer.data] == [True, True]
    assert case.received() == (1, 1)


def test_responses_and_their_streams_fail_over_too(case: Case) -> None:
    case.lab["alpha"].fault = server_error()
    whole = case.client.responses.create(model=case.leaf, input="good day")
    assert whole.output_text == "beta echoes: good day"
    events = list(case.client.responses.create(model=case.leaf, input="good day", stream=True))
    texts = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(texts) == "beta echoes: good day"
    assert events[-1].type == "response.completed"


@pytest.mark.parametrize("stream", [False, True])
def test_messages_of_anthropics_api_fail_over_too(case: Case, stream: bool) -> None:
    case.lab["alpha"].fault = server_error()
    asked = {"model": case.leaf, "max_tokens": 50, "messages": QUESTION, "stream": stream}
    answer = httpx.post(
        f"{case.proxy.url}/v1/messages", json=asked, headers={"x-api-key": case.proxy.key}
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith(
        "text/event-stream" if stream else "application/json"
    )
    assert ("message_stop" in answer.text) is stream
    parts = re.findall(r'"text": ?"([^"]*)"', answer.text)
    assert "".join(parts) == "beta echoes: good day"
    assert case.received() == (1, 1)


def test_models_that_exist_are_listed_once_by_the_leafs_short_name(case: Case) -> None:
    names = [model.id for model in case.client.models.list()]
    assert sorted(names) == sorted(set(names))
    assert {"text-embeddings", *_LEAVES, "group-outside"} <= set(names)
    assert "chat-completion" not in names


@pytest.mark.parametrize("name", ["talk", "trials.chats.case-0", "chats", "trials", "trials.chats"])
def test_paths_ancestors_and_aliases_are_model_names_as_well(case: Case, name: str) -> None:
    answer = case.client.chat.completions.create(model=name, messages=QUESTION)
    # Who serves depends on the tests before: these names stand for models of theirs.
    assert (answer.choices[0].message.content or "").endswith("echoes: good day")
    assert answer.model == name


def test_other_names_stay_litellms(case: Case) -> None:
    answer = case.client.chat.completions.create(model="group-outside", messages=QUESTION)
    assert answer.choices[0].message.content == "alpha echoes: good day"
    clash = case.client.chat.completions.with_raw_response.create(
        model="summarization", messages=QUESTION
    )
    assert clash.headers["x-litellm-model-id"] == "clash"
    assert "x-capability-router-served-by" not in clash.headers
    with pytest.raises(openai.BadRequestError, match="Invalid model name"):
        case.client.chat.completions.create(model="no-such-name", messages=QUESTION)


def test_call_may_say_what_it_requires_of_the_router(case: Case) -> None:
    asked: Any = {"capability_router": {"model": f"{case.leaf}-beta"}}
    answer = case.client.chat.completions.create(
        model=case.leaf, messages=QUESTION, extra_body=asked
    )
    assert answer.choices[0].message.content == "beta echoes: good day"
    for wrong in ({"pool": "no-such-pool"}, {"pol": "chats"}):
        with pytest.raises(openai.BadRequestError, match=r"no-such-pool|pol"):
            case.client.chat.completions.create(
                model=case.leaf, messages=QUESTION, extra_body={"capability_router": wrong}
            )
    assert case.received() == (0, 1)


def test_key_of_the_callers_own_is_refused_before_it_goes_to_a_stranger(case: Case) -> None:
    with pytest.raises(openai.BadRequestError):
        case.client.chat.completions.create(
            model=case.leaf, messages=QUESTION, extra_body={"api_key": "sk-canary"}
        )
    assert case.received() == (0, 0)


@pytest.mark.parametrize("endpoint", ["health", "pools", "decisions"])
def test_endpoints_are_behind_the_proxys_authentication(proxy: Proxy, endpoint: str) -> None:
    path = f"/capability_router/{endpoint}"
    assert httpx.get(f"{proxy.url}{path}").status_code == 401
    # Without a database there is nowhere to look up another key, which LiteLLM tells by a 400.
    assert proxy.get(path, key="sk-wrong").status_code == 400
    assert proxy.get(path).status_code == 200
    assert httpx.post(f"{proxy.url}{path}").status_code == 405


def test_endpoints_tell_of_a_failover_without_any_text_or_credential(case: Case) -> None:
    case.lab["alpha"].fault = rate_limited(retry_after=90)
    plain(case)
    alpha, beta = (case.states()[f"{case.leaf}-{name}"] for name in ("alpha", "beta"))
    assert (alpha["state"], beta["state"]) == ("standby", "active")
    [rest] = alpha["standby"]
    assert (rest["pool"], rest["reason"]) == ("chats", "rate_limited")
    assert 80 < rest["returns_in_s"] <= 90
    assert (alpha["failures"], beta["successes"]) == (1, 1)
    [pool] = [each for each in case.proxy.told("pools") if each["name"] == "chats"]
    assert pool["strategy"] == "priority"
    assert beta["id"] in pool["active"]
    assert alpha["id"] in [each["model"] for each in pool["standby"]]
    [newest] = case.proxy.told("decisions?limit=1")
    assert (newest["capability"], newest["served_by"]) == (case.leaf, beta["id"])
    tried = [(each["kind"], each["status"]) for each in newest["attempts"]]
    assert tried == [("rate_limited", 429), (None, None)]
    for endpoint in ("health", "pools", "decisions"):
        text = case.proxy.get(f"/capability_router/{endpoint}").text
        assert not any(secret in text for secret in ("good day", "echoes", "key-", case.proxy.key))
