"""Keys are planted wherever they can be, and nothing that leaves may hold one."""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import litellm
import pytest
from langchain_openai import ChatOpenAI
from pydantic import SecretStr
from typer.testing import CliRunner

from capability_router import (
    CapabilityRouter,
    CompletionRequest,
    Model,
    Outcome,
    Priority,
    Provider,
    RotationPolicy,
    Secret,
)
from capability_router.cli.app import app
from capability_router.config import load
from capability_router.engine.errors import NoAvailableModelError
from capability_router.engine.member import Member
from capability_router.lab import Lab, unauthorized
from langchain_capability_router import ChatCapabilityRouter
from litellm_capability_router import attach
from litellm_capability_router.proxy_views import decisions_view, health_view, pools_view
from tests.connections import connections
from tests.security.keyed import keyed_provider

CANARY = "sk-canary-A1b2C3d4E5f6G7h8"
BARE = "0canary123456789abcdef0123456789"
"""A key that nothing but being known tells from any other word."""

ASKED = [{"role": "user", "content": "hello"}]
OURS = ("capability_router", "langchain_capability_router", "litellm_capability_router")
FILE = """
providers:
  environment: {{base_url: {url}, api_key: "${{env:KEY}}"}}
  file: {{base_url: {url}, api_key: "${{file:key}}"}}
  vault: {{base_url: {url}, api_key: "${{vault:team/key}}"}}
models:
  environment/m: {{capabilities: [chat-completion]}}
  file/m: {{capabilities: [chat-completion]}}
  vault/m: {{capabilities: [chat-completion]}}
pools: {{chat: {{hierarchy_node: chat-completion}}}}
"""


@pytest.fixture
def url() -> Iterator[str]:
    with keyed_provider() as keyed, connections():
        yield keyed.url


@dataclass
class Leaving:
    """All that leaves: what is shown, kept, told and written."""

    texts: dict[str, str] = field(default_factory=dict[str, str])

    def take(self, name: str, thing: object) -> None:
        self.texts[name] = f"{thing!r} {thing}"
        try:
            # The provider's own exceptions are the provider's; ours go with what we keep of them.
            self.texts[f"{name}, pickled"] = repr(pickle.dumps(thing))
        except (TypeError, AttributeError, pickle.PicklingError):
            self.texts[f"{name}, refused"] = ""

    def with_canary(self) -> list[str]:
        return [f"{name}: {text}" for name, text in self.texts.items() if "canary" in text]


def all_of(router: CapabilityRouter, leaving: Leaving) -> None:
    """Take everything that a router shows of itself."""
    leaving.take("router", router)
    shown: dict[str, Sequence[object]] = {
        "models": router.models,
        "providers": router.providers,
        "pools": router.pools,
        "states": [router.state(model.id) for model in router.models],
        "pool states": [pool.get_state() for pool in router.pools],
        "decisions": router.decisions,
        "attempts": [attempt for each in router.decisions for attempt in each.attempts],
        "standby": router.pool("chat-completion").get_standby(),
    }
    for name, many in shown.items():
        for each in many:
            leaving.take(name, each)
    decisions = [each.as_dict() for each in router.decisions]
    views = [health_view(router), pools_view(router), decisions_view(router, 10)]
    leaving.take("JSON", json.dumps([decisions, views]))


def fail(act: Callable[[], object], leaving: Leaving) -> None:
    """Let every model refuse its key; take the error, and those that it carries of ours."""
    with pytest.raises(NoAvailableModelError) as caught:
        act()
    error = caught.value
    leaving.take("error", error)
    leaving.take("attempts of the error", [(each, each.as_dict()) for each in error.attempts])
    leaving.take("reasons", error.reasons)
    assert error.attempts
    assert {str(each.kind) for each in error.attempts} == {"auth"}


@pytest.mark.parametrize("key", [CANARY, BARE], ids=["with a prefix", "bare"])
@pytest.mark.parametrize("host", ["LangChain", "LiteLLM"])
def test_configured_keys_stay_with_the_router(
    host: str, key: str, url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for name in OURS:
        caplog.set_level(logging.DEBUG, logger=name)
    (tmp_path / "router.yaml").write_text(FILE.format(url=url))
    (tmp_path / "key").write_text(f"{key}\n")
    blueprint = load(
        tmp_path / "router.yaml", environ={"KEY": key}, secrets={"vault": lambda _: key}
    )
    leaving, heard = Leaving(), Heard()
    router = CapabilityRouter(blueprint.tree)
    router.emitter.subscribe(lambda event: leaving.take(f"event {event.type}", event))
    router.configure(blueprint)
    router.update_pool("chat", RotationPolicy(selection=heard.strategy))
    leaving.take("blueprint", blueprint)
    leaving.take("lease", router.select(CompletionRequest("chat-completion")))
    if host == "LangChain":
        chat = ChatCapabilityRouter(router=router, capability="chat-completion")
        fail(lambda: chat.invoke("hello"), leaving)
        leaving.take("chat model", chat)
        leaving.take("chat model as JSON", chat.model_dump_json())
    else:
        litellm_router = litellm.Router(model_list=[])
        attach(litellm_router, router)
        fail(
            lambda: litellm_router.completion(model="chat-completion", messages=ASKED),
            leaving,
        )
    all_of(router, leaving)
    leaving.take("heard", heard.outcomes)
    leaving.take("log", caplog.text)
    assert len(heard.outcomes) == 3
    assert all("Incorrect API key provided" in f"{each}" for each in heard.outcomes)
    assert "\x1b" not in "".join(leaving.texts.values())
    assert leaving.with_canary() == []


class Heard:
    """A strategy of somebody else that keeps every outcome it is told."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def strategy(self, rng: Random) -> Priority:
        outcomes = self.outcomes

        class Listening(Priority):
            def learn(self, member: Member, node: str, outcome: Outcome, latency_s: float) -> None:
                outcomes.append(outcome)

        return Listening(rng)


def test_keys_of_hosts_stay_with_their_hosts(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.DEBUG, logger="LiteLLM")
    for name in OURS:
        caplog.set_level(logging.DEBUG, logger=name)
    leaving = Leaving()
    router = CapabilityRouter()
    params = {"model": "openai/m", "api_base": url, "api_key": CANARY}
    headers = {"extra_headers": {"x-api-key": CANARY}}
    info = {"id": "deployed", "capabilities": ["chat-completion"]}
    host = litellm.Router(
        model_list=[
            {"model_name": "group", "litellm_params": {**params, **headers}, "model_info": info}
        ]
    )
    attach(host, router)
    fail(lambda: host.completion(model="chat-completion", messages=ASKED), leaving)
    all_of(router, leaving)
    leaving.take("log", caplog.text)
    assert leaving.with_canary() == []


def test_keys_of_chat_models_stay_with_them(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    leaving, router = Leaving(), CapabilityRouter()
    router.register(Model("own/m", ("chat-completion",)))
    own = ChatOpenAI(model="m", base_url=url, api_key=SecretStr(CANARY), max_retries=0)
    chat = ChatCapabilityRouter(router=router, capability="chat-completion", models={"own/m": own})
    fail(lambda: chat.invoke("hello"), leaving)
    all_of(router, leaving)
    leaving.texts["chat model"] = repr(chat)
    leaving.take("log", caplog.text)
    assert leaving.with_canary() == []


def test_password_in_the_address_of_a_provider_is_not_shown() -> None:
    leaving = Leaving()
    address = "http://user:canary-password@127.0.0.1:9/v1?key=canary-query"
    router = CapabilityRouter(providers=[Provider("a", base_url=address)])
    router.register(Model("a/m", ("chat-completion",)))
    for each in (*router.providers, router, *router.models):
        leaving.texts[type(each).__name__] = f"{each!r} {each}"
    assert leaving.with_canary() == []


def test_secret_goes_into_no_pickle() -> None:
    for thing in (Secret(CANARY), Provider("a", api_key=Secret(CANARY))):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(thing)


def test_command_shows_no_key(tmp_path: Path) -> None:
    (tmp_path / "router.yaml").write_text(FILE.format(url="http://127.0.0.1:9/v1"))
    (tmp_path / "key").write_text(f"{CANARY} \n")
    path = str(tmp_path / "router.yaml")
    told = [CliRunner().invoke(app, ["check", path], env={"KEY": f"{CANARY} "}).output]
    (tmp_path / "key").write_text(CANARY)
    good = FILE.format(url="http://127.0.0.1:9/v1").replace("${vault:team/key}", "${file:key}")
    (tmp_path / "router.yaml").write_text(good)
    told.append(CliRunner().invoke(app, ["check", path], env={"KEY": CANARY}).output)
    assert "providers.vault.api_key" in told[0]
    # It can be read, and what is doubtful about it names the host.
    assert "shared-host" in told[1]
    assert "canary" not in "".join(told)


def test_lab_keeps_requests_without_their_keys() -> None:
    with Lab(["alpha"], answers="echo") as lab, connections():
        lab["alpha"].script(unauthorized())
        router = CapabilityRouter(
            providers=[Provider("alpha", base_url=lab["alpha"].base_url, api_key=Secret(CANARY))]
        )
        router.register(Model("alpha/m", ("chat-completion",)))
        fail(
            lambda: ChatCapabilityRouter(router=router, capability="chat-completion").invoke("hi"),
            Leaving(),
        )
        (request,) = lab["alpha"].requests
    assert request.headers["authorization"] == "[redacted]"
    assert "canary" not in repr(request)
