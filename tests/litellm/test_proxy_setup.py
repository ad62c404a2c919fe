"""Where a proxy's configuration may stand, what stops it, and what it survives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import yaml

from capability_router.lab import Lab, server_error
from tests.litellm.proxies import Proxy, deployment, proxy_config, running, start

DOCS = Path(__file__).parents[2] / "docs" / "proxy.md"
QUESTION: list[Any] = [{"role": "user", "content": "good day"}]

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(["alpha", "beta"], answers="echo") as lab:
        yield lab


@pytest.fixture(scope="module")
def proxy(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """One with a second file, under a path of its own, whose deployments declare nothing."""
    folder = tmp_path_factory.mktemp("proxy")
    homes = {"one": "alpha", "two": "beta"}
    listed = [deployment(lab[name].base_url, id_) for id_, name in homes.items()]
    for each in listed:
        each["litellm_params"]["model"] = "openai/gpt-4o-mini"
    listed.append({**deployment(lab["beta"].base_url, "kept-out"), "model_name": "other"})
    listed[-1]["model_info"]["capabilities"] = []
    pool = {"hierarchy_node": "chat-completion", "strategy": "priority", "model_priority": ["two"]}
    (folder / "router.yaml").write_text(yaml.safe_dump({"pools": {"chats": pool}}))
    config = proxy_config(listed, capability_router="router.yaml")
    callbacks = [config["litellm_settings"]["callbacks"], "tests.litellm.meddling.meddler"]
    config["litellm_settings"]["callbacks"] = callbacks
    environ = {"SERVER_ROOT_PATH": "/llm"}
    with running(folder, config, environ=environ, root="/llm") as proxy:
        yield proxy


def served_by(proxy: Proxy, name: str = "chat-completion") -> str:
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=proxy.key, max_retries=0) as client:
        raw = client.chat.completions.with_raw_response.create(model=name, messages=QUESTION)
        return str(raw.headers["x-litellm-model-id"])


def meddled(proxy: Proxy, how: str) -> None:
    told = {"Authorization": f"Bearer {proxy.key}"}
    assert httpx.post(f"{proxy.url}/meddle/{how}", headers=told).status_code == 200


def test_second_file_and_the_catalogue_make_pools_of_deployments(proxy: Proxy) -> None:
    models = proxy.told("health")
    assert [model["id"] for model in models] == ["one", "two"]
    assert [model["provider"] for model in models] == ["openai", "openai-2"]
    assert "generation.text-generation.chat-completion" in models[0]["capabilities"]
    assert served_by(proxy) == "two"


def test_changed_settings_of_the_router_take_nothing_away(proxy: Proxy) -> None:
    meddled(proxy, "settings")
    assert served_by(proxy) == "two"
    assert served_by(proxy, "nickname") == "one"


def test_another_router_is_attached_with_the_first_request_and_keeps_what_was_learnt(
    proxy: Proxy,
) -> None:
    before = {model["id"]: model["successes"] for model in proxy.told("health")}
    meddled(proxy, "router")
    assert served_by(proxy) == "two"
    after = {model["id"]: model["successes"] for model in proxy.told("health")}
    assert after == {"one": before["one"], "two": before["two"] + 1}


def test_deleted_deployment_leaves_the_pools(proxy: Proxy) -> None:
    meddled(proxy, "delete/two")
    assert served_by(proxy) == "one"
    assert [model["id"] for model in proxy.told("health")] == ["one"]


def documented() -> str:
    found = re.findall(r"```yaml\n(model_list.*?)```", DOCS.read_text(), re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def test_the_documented_file_starts_a_proxy(tmp_path: Path) -> None:
    environ = {"OPENAI_API_KEY": "sk-none", "GROQ_API_KEY": "gsk-none"}
    with running(tmp_path, documented(), environ=environ) as proxy:
        [text] = [pool for pool in proxy.told("pools") if pool["name"] == "text"]
        assert set(text["active"]) == {"own-server", "groq-fast", "openai-big"}
        providers = {model["id"]: model["provider"] for model in proxy.told("health")}
        assert providers == {"openai-big": "openai", "groq-fast": "groq", "own-server": "own"}
        names = [model["id"] for model in proxy.get("/v1/models").json()["data"]]
        assert {"chat-completion", "summarization", "big", "not-for-everybody"} <= set(names)


def test_broken_section_stops_the_proxy_and_says_where(tmp_path: Path) -> None:
    wrong = documented().replace("strategy: priority", "strategy: prioritty")
    line = wrong[: wrong.index("prioritty")].count("\n") + 1
    process = start(tmp_path, wrong, 0, "sk-none", environ={"OPENAI_API_KEY": "x"})
    assert process.wait(timeout=200) != 0
    log = (tmp_path / "proxy.log").read_text()
    place = f"{tmp_path / 'config.yaml'}:{line}:17: capability_router.pools.text.strategy: "
    assert place in log
    assert "did you mean 'priority'?" in log


def provider_config() -> dict[str, Any]:
    # The OpenAI client always asks for an encoding, of which LiteLLM tells no custom provider.
    params = {"model": "capability/*", "drop_params": True}
    handler = "litellm_capability_router.provider.handler"
    entry = {"provider": "capability", "custom_handler": handler}
    return {
        "model_list": [{"model_name": "capability/*", "litellm_params": params}],
        "litellm_settings": {"custom_provider_map": [entry]},
    }


def provider_file(lab: Lab, folder: Path) -> Path:
    providers = {
        name: {"base_url": lab[name].base_url, "api_key": "${env:LAB_KEY}"}
        for name in ("alpha", "beta")
    }
    models = {
        "alpha/m": {"capabilities": ["chat-completion"]},
        "beta/m": {"capabilities": ["chat-completion"]},
        "alpha/e": {"capabilities": ["text-embeddings"]},
    }
    file = folder / "router.yaml"
    file.write_text(yaml.safe_dump({"providers": providers, "models": models}))
    return file


@pytest.fixture(scope="module")
def client(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of a proxy that knows capabilities by the provider alone."""
    folder = tmp_path_factory.mktemp("provider")
    environ = {
        "CAPABILITY_ROUTER_CONFIG": str(provider_file(lab, folder)),
        "LAB_KEY": "lab-key",
    }
    with (
        running(folder, provider_config(), environ=environ) as proxy,
        openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=proxy.key, max_retries=0) as client,
    ):
        yield client


def test_the_provider_serves_chats_and_streams_of_a_proxy(lab: Lab, client: Any) -> None:
    chat = {"model": "capability/chat-completion", "messages": QUESTION}
    lab["alpha"].fault = server_error()
    try:
        answer = client.chat.completions.create(**chat)
        usage = {"include_usage": True}
        chunks = list(client.chat.completions.create(**chat, stream=True, stream_options=usage))
    finally:
        lab["alpha"].heal()
    said = [each.choices[0].delta.content or "" for each in chunks if each.choices]
    assert answer.choices[0].message.content == "".join(said) == "beta echoes: good day"
    assert chunks[-1].usage == answer.usage


def test_the_provider_serves_embeddings_of_a_proxy(lab: Lab, client: Any) -> None:
    before = lab["alpha"].request_count
    answer = client.embeddings.create(model="capability/text-embeddings", input=["one", "two"])
    assert [len(each.embedding) for each in answer.data] == [64, 64]
    assert lab["alpha"].request_count == before + 1
