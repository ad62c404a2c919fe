"""What ``attach`` changes in a LiteLLM Router, and what it leaves alone."""

from __future__ import annotations

import gc
from typing import Any

import litellm
import pytest

from capability_router import (
    CapabilityRouter,
    FailureKind,
    Model,
    Provider,
    Secret,
    UnknownCapabilityError,
)
from capability_router.lab import Lab, hang, server_error, unauthorized
from litellm_capability_router import attach, capability_model_list
from litellm_capability_router.answers import failure_of_litellm
from litellm_capability_router.deployments import completion_params
from tests.connections import connections, run
from tests.litellm.surfaces import CHAT, QUESTION, Setup, Surface, attached


@pytest.fixture
def place() -> Any:
    return attached


@pytest.mark.parametrize("name", ["chat-completion", CHAT, "text-generation", "generation", "chat"])
def test_a_path_a_short_name_an_alias_and_a_parent_are_all_model_names(
    setup: Setup, name: str
) -> None:
    setup.router.tree.add_alias("chat", "chat-completion")
    answer = setup.host.completion(model=name, messages=QUESTION)
    assert "alpha" in answer.choices[0].message.content


def test_the_answer_names_who_served_and_what_was_tried(setup: Setup) -> None:
    setup.lab["alpha"].fault = server_error()
    answer = setup.host.completion(model="chat-completion", messages=QUESTION)
    assert answer._hidden_params["model_id"] == "beta/m"
    attempts = answer._hidden_params["capability_router"]["attempts"]
    assert [(a["model"], a["kind"]) for a in attempts] == [
        ("alpha/m", "server_error"),
        ("beta/m", None),
    ]


def test_the_providers_usage_is_counted_once(setup: Setup, ask: Surface) -> None:
    more = {"stream_options": {"include_usage": True}} if "stream" in ask.__name__ else {}
    setup.lab["alpha"].fault = server_error()
    ask(setup.host, **more)
    failed, served = setup.router.state("alpha/m"), setup.router.state("beta/m")
    assert (failed.input_tokens, failed.output_tokens) == (0, 0)
    assert served.input_tokens > 0
    assert served.output_tokens > 0
    assert served.successes == 1


def test_a_stream_that_the_caller_leaves_blames_nobody_and_leaks_nothing(setup: Setup) -> None:
    chunks = setup.host.completion(model="chat-completion", messages=QUESTION, stream=True)
    next(chunks)
    chunks.close()
    state = setup.router.state("alpha/m")
    assert (state.in_flight, state.failures) == (0, 0)


def test_an_async_stream_that_is_cancelled_blames_nobody_and_leaks_nothing(setup: Setup) -> None:
    async def leave_early() -> None:
        chunks = await setup.host.acompletion(
            model="chat-completion", messages=QUESTION, stream=True
        )
        await anext(chunks)
        await chunks.aclose()

    run(leave_early())
    state = setup.router.state("alpha/m")
    assert (state.in_flight, state.failures) == (0, 0)


def test_a_model_registered_later_is_served(setup: Setup) -> None:
    for model in setup.router.models:
        setup.router.deactivate(model.id, "manual")
    gamma = setup.lab["gamma"]
    setup.router.register(Model("gamma/new", ("chat-completion",)))
    assert (
        "gamma" in setup.host.completion(model=CHAT, messages=QUESTION).choices[0].message.content
    )
    assert gamma.request_count == 1


def test_embeddings_go_through_the_same_failover(setup: Setup) -> None:
    for provider in setup.lab:
        setup.router.register(Model(f"{provider.name}/e", ("text-embeddings",)))
    setup.lab["alpha"].fault = server_error()
    answer = setup.host.embedding(model="text-embeddings", input=["one", "two"])
    assert len(answer.data) == 2
    answer = run(setup.host.aembedding(model="text-embeddings", input=["one"]))
    assert len(answer.data) == 1
    assert setup.calls() == [2, 2, 0]


def deployment(lab: Lab, name: str, **info: Any) -> dict[str, Any]:
    params = {"model": "openai/m", "api_base": lab[name].base_url, "api_key": "k", "max_retries": 0}
    return {"model_name": f"group-{name}", "litellm_params": params, "model_info": info}


def test_a_deployment_that_declares_capabilities_becomes_a_model() -> None:
    with Lab(["alpha"], answers="echo") as lab, connections():
        listed = [deployment(lab, "alpha", id="dep-a", capabilities=["chat-completion"])]
        host, router = litellm.Router(model_list=listed), CapabilityRouter()
        attach(host, router)
        answer = host.completion(model="chat-completion", messages=QUESTION)
        assert answer._hidden_params["model_id"] == "dep-a"
        assert [model.id for model in router.models] == ["dep-a"]


def test_other_model_names_are_left_to_litellm() -> None:
    with Lab(["alpha"], answers="echo") as lab, connections():
        listed = [deployment(lab, "alpha", id="dep-a")]
        host: Any = litellm.Router(model_list=listed, num_retries=0)
        router = CapabilityRouter()
        attach(host, router)
        host.completion(model="group-alpha", messages=QUESTION)
        chunks = host.completion(model="group-alpha", messages=QUESTION, stream=True)
        assert "".join(c.choices[0].delta.content or "" for c in chunks)
        assert router.decisions == []
        with pytest.raises(litellm.BadRequestError):
            host.completion(model="no-such-model", messages=QUESTION)


def test_detach_leaves_the_router_as_it_was() -> None:
    with Lab(["alpha"], answers="echo") as lab, connections():
        host = litellm.Router(model_list=[deployment(lab, "alpha", id="dep-a")], num_retries=0)
        names = host.get_model_names()
        before = vars(host).copy()
        router = CapabilityRouter(
            providers=[Provider("alpha", base_url=lab["alpha"].base_url, api_key=Secret("k"))]
        )
        router.register(Model("alpha/m", ("chat-completion",)))
        attach(host, router).detach()
        assert vars(host).keys() == before.keys()
        assert [name for name, value in vars(host).items() if value is not before[name]] == []
        assert host.get_model_names() == names
        with pytest.raises(litellm.BadRequestError):
            host.completion(model="chat-completion", messages=QUESTION)


def test_attaching_twice_is_refused(setup: Setup) -> None:
    with pytest.raises(ValueError, match="attached already"):
        attach(setup.host, setup.router)


def test_the_model_list_serves_without_attach_too(setup: Setup) -> None:
    plain: Any = litellm.Router(model_list=capability_model_list(setup.router), num_retries=0)
    answer = plain.completion(model="beta/m", messages=QUESTION)
    assert "beta" in answer.choices[0].message.content


def test_a_deployment_that_litellm_would_rest_is_still_the_pools_to_judge(setup: Setup) -> None:
    setup.lab["alpha"].fault = server_error()
    for _ in range(2):
        setup.host.completion(model=CHAT, messages=QUESTION)
    assert setup.calls() == [2, 2, 0]


def test_what_is_no_router_is_refused_by_name(setup: Setup) -> None:
    with pytest.raises(TypeError, match=r"must be a litellm\.Router, not CapabilityRouter"):
        attach(setup.router, setup.host)  # type: ignore[arg-type]  # what a caller may do
    with pytest.raises(TypeError, match="must be a CapabilityRouter"):
        attach(litellm.Router(model_list=[]), object())  # type: ignore[arg-type] # what a caller may do


def test_an_existing_group_that_is_named_like_a_capability_stays_litellms(ask: Surface) -> None:
    with Lab(["alpha"], answers="echo") as lab, connections():
        own = {**deployment(lab, "alpha", id="dep-a"), "model_name": "chat-completion"}
        host = litellm.Router(model_list=[own], num_retries=0)
        attach(host, CapabilityRouter())
        assert "alpha" in ask(host)


def test_an_existing_alias_that_is_named_like_a_capability_stays_litellms() -> None:
    with Lab(["alpha"], answers="echo") as lab, connections():
        host: Any = litellm.Router(
            model_list=[deployment(lab, "alpha", id="dep-a")],
            model_group_alias={"chat-completion": "group-alpha"},
        )
        attach(host, CapabilityRouter())
        answer = host.completion(model="chat-completion", messages=QUESTION)
        assert "alpha" in answer.choices[0].message.content


def test_settings_that_litellm_reloads_take_nothing_away(setup: Setup, ask: Surface) -> None:
    setup.host.update_settings(routing_strategy="latency-based-routing", num_retries=3, timeout=9)
    setup.lab["alpha"].fault = server_error()
    assert "beta" in ask(setup.host)
    assert setup.calls() == [1, 1, 0]


def test_deployments_that_come_and_go_are_models_that_come_and_go(ask: Surface) -> None:
    with Lab(["alpha", "beta"], answers="echo") as lab, connections():
        declared = ["chat-completion"]
        host = litellm.Router(model_list=[deployment(lab, "alpha", id="a", capabilities=declared)])
        router = CapabilityRouter()
        attach(host, router)
        assert "alpha" in ask(host)
        host.set_model_list([deployment(lab, "beta", id="b", capabilities=declared)])
        assert "beta" in ask(host)
        assert [model.id for model in router.models] == ["b"]
        host.set_model_list([deployment(lab, "alpha", id="b", capabilities=["summarization"])])
        with pytest.raises(litellm.ServiceUnavailableError):
            ask(host)
        (leaf,) = router.model("b").capabilities
        assert leaf.endswith("summarization")


def test_a_broken_declaration_changes_nothing_and_names_the_capability() -> None:
    with Lab(["alpha"], answers="echo") as lab, connections():
        host: Any = litellm.Router(
            model_list=[deployment(lab, "alpha", id="a", capabilities=["chat-completoin"])]
        )
        before = vars(host).copy()
        with pytest.raises(UnknownCapabilityError, match="chat-completion"):
            attach(host, CapabilityRouter())
        assert vars(host).keys() == before.keys()


def test_what_a_deployment_has_besides_its_address_is_sent_along(setup: Setup) -> None:
    url = setup.lab["gamma"].base_url
    params = {"model": "openai/tiny", "api_base": url, "api_key": "k", "temperature": 0.25}
    host: Any = litellm.Router(
        model_list=[
            {
                "model_name": "any",
                "litellm_params": params,
                "model_info": {"id": "g", "capabilities": ["chat-completion"]},
            }
        ],
        default_litellm_params={"seed": 7, "temperature": 1.5},
    )
    attach(host, CapabilityRouter())
    host.completion(model=CHAT, messages=QUESTION, user="me")
    body = setup.lab["gamma"].requests[0].body or {}
    assert (body["temperature"], body["seed"]) == (0.25, 7)
    host.completion(CHAT, QUESTION, temperature=0.5)
    assert (setup.lab["gamma"].requests[1].body or {})["temperature"] == 0.5


def test_a_shorter_timeout_of_the_host_or_the_deployment_is_kept() -> None:
    with Lab(["alpha"], answers="echo") as lab, connections():
        slow = deployment(lab, "alpha", id="a", capabilities=["chat-completion"])
        slow["litellm_params"]["timeout"] = 0.2
        for host in (
            litellm.Router(model_list=[slow]),
            litellm.Router(
                model_list=[deployment(lab, "alpha", id="a", capabilities=["chat-completion"])],
                timeout=0.2,
            ),
        ):
            router = CapabilityRouter()
            attach(host, router)
            lab["alpha"].fault = hang()
            with pytest.raises(litellm.ServiceUnavailableError):
                host.completion(model=CHAT, messages=QUESTION)
            assert router.decisions[-1].attempts[0].kind is FailureKind.TIMEOUT


def test_litellm_rests_no_deployment_for_what_the_pools_have_seen(setup: Setup) -> None:
    own = deployment(setup.lab, "alpha", id="dep-a", capabilities=["chat-completion"])
    host: Any = litellm.Router(model_list=[own], num_retries=0, allowed_fails=0)
    attach(host, CapabilityRouter())
    setup.lab["alpha"].script(unauthorized())
    with pytest.raises(litellm.ServiceUnavailableError):
        host.completion(model=CHAT, messages=QUESTION)
    assert host.completion(model="group-alpha", messages=QUESTION)


def test_a_method_that_litellms_router_does_not_have_knows_capabilities_only(setup: Setup) -> None:
    with pytest.raises(AttributeError, match=r"no speech\(\)"):
        setup.host.speech(model="tts-1", input="one", voice="alloy")


def test_a_model_that_is_registered_anew_is_called_where_it_is_now(setup: Setup) -> None:
    setup.router.unregister("alpha/m")
    setup.router.register(Model("alpha/m", ("ocr",), provider="gamma", name="other"))
    answer: Any = setup.host.completion(model="ocr", messages=QUESTION)
    assert "gamma" in answer.choices[0].message.content
    assert (setup.lab["gamma"].requests[0].body or {})["model"] == "other"


# LiteLLM makes a client for every text completion that is streamed, and closes none of them.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_text_completions_stream_too(setup: Setup) -> None:
    for provider in setup.lab:
        setup.router.register(Model(f"{provider.name}/t", ("text-completion",)))
    setup.lab["alpha"].fault = server_error()

    async def collect() -> list[Any]:
        chunks = await setup.host.atext_completion(
            model="text-completion", prompt="count to three", stream=True
        )
        return [chunk async for chunk in chunks]

    text = "".join(chunk.choices[0].text or "" for chunk in run(collect()))
    assert "beta" in text
    assert setup.router.state("beta/t").successes == 1
    # Here, where it is known, and not in whichever test comes next.
    gc.collect()


def test_a_missing_package_of_litellms_is_nobodys_bad_health(setup: Setup) -> None:
    error = litellm.APIConnectionError("wrapped", llm_provider="openai", model="m")
    error.__cause__ = ModuleNotFoundError("No module named 'mcp'", name="mcp")
    assert failure_of_litellm(error).kind is FailureKind.INVALID_REQUEST


@pytest.mark.parametrize("tools", [True, False])
def test_tools_reach_the_model_without_litellms_optional_packages(
    setup: Setup, tools: bool
) -> None:
    schema = {"name": "look", "parameters": {"type": "object", "properties": {}}}
    more: dict[str, Any] = {"tools": [{"type": "function", "function": schema}]} if tools else {}
    setup.host.completion(model="chat-completion", messages=QUESTION, **more)
    assert ("tools" in (setup.lab["alpha"].requests[0].body or {})) is tools


def test_a_server_without_a_key_is_called_without_the_vendors_key(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    provider = Provider("local", base_url=setup.lab["gamma"].base_url)
    params = completion_params(provider, Model("local/m", ("ocr",)))
    answer: Any = litellm.completion(**params, messages=QUESTION)
    assert "gamma" in answer.choices[0].message.content
    assert "sk-canary" not in str(params)
    monkeypatch.delenv("OPENAI_API_KEY")
    assert litellm.completion(**params, messages=QUESTION)


def test_detaching_twice_is_no_error() -> None:
    attachment = attach(litellm.Router(model_list=[]), CapabilityRouter())
    attachment.detach()
    attachment.detach()
