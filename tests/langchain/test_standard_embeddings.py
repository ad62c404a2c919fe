"""LangChain's standard suites on embeddings: each kind of model, all well or its first one dead."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from langchain_core.embeddings import Embeddings
from langchain_tests.integration_tests import EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests

from capability_router.lab import Lab
from langchain_capability_router import CapabilityRouterEmbeddings
from tests.connections import close_now
from tests.langchain.embedding import openai_embeddings

NOWHERE = "http://127.0.0.1:9/v1"
PROVIDERS = ("alpha", "beta")


def configuration(folder: Path, urls: Mapping[str, str]) -> Path:
    """Write a configuration with one embedding model of each provider, all of one vector space."""
    lines = ["providers:"]
    lines += [
        f"  {name}: {{base_url: {url}, api_key: '${{env:LAB_KEY}}'}}" for name, url in urls.items()
    ]
    lines.append("models:")
    lines += [f"  {name}/e5: {{capabilities: [text-embeddings], dimensions: 64}}" for name in urls]
    path = folder / "router.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


class _Pool:
    """A pool of which ``own`` provider's models are embedding models, the others LiteLLM's."""

    own: tuple[str, ...] = ()
    dead: tuple[str, ...] = ()
    params: dict[str, Any]

    @property
    def embeddings_class(self) -> type[CapabilityRouterEmbeddings]:
        return CapabilityRouterEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return self.params


class _Units(_Pool, EmbeddingsUnitTests):
    @pytest.fixture(autouse=True)
    def configured(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LAB_KEY", "lab")
        self.path = configuration(tmp_path, dict.fromkeys(PROVIDERS, NOWHERE))
        models: dict[str, Embeddings] = {
            f"{name}/e5": openai_embeddings(NOWHERE) for name in self.own
        }
        self.params = {"router": self.path, "models": models}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        env = {"CAPABILITY_ROUTER_CONFIG": str(self.path)}
        return env, {}, {"capability": "text-embeddings"}


class _Answers(_Pool, EmbeddingsIntegrationTests):
    @pytest.fixture(autouse=True)
    async def served(
        self, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[None]:
        monkeypatch.setenv("LAB_KEY", "lab")
        path = configuration(tmp_path, {provider.name: provider.base_url for provider in lab})
        models: dict[str, Embeddings] = {
            f"{name}/e5": openai_embeddings(lab[name].base_url) for name in self.own
        }
        self.params = {"router": path, "models": models}
        for name in self.dead:
            lab[name].stop()
        yield
        served = [provider.name for provider in lab if provider.request_count]
        await close_now()
        assert served in ([], [name for name in PROVIDERS if name not in self.dead][:1])


class TestLiteLLMUnits(_Units):
    pass


class TestOwnUnits(_Units):
    own: tuple[str, ...] = PROVIDERS


class TestMixedUnits(_Units):
    own: tuple[str, ...] = ("alpha",)


class TestLiteLLM(_Answers):
    pass


class TestLiteLLMFirstDead(_Answers):
    dead: tuple[str, ...] = ("alpha",)


class TestOwn(_Answers):
    own: tuple[str, ...] = PROVIDERS


class TestOwnFirstDead(_Answers):
    own: tuple[str, ...] = PROVIDERS
    dead: tuple[str, ...] = ("alpha",)


class TestMixed(_Answers):
    own: tuple[str, ...] = ("alpha",)


class TestMixedOwnDead(_Answers):
    own: tuple[str, ...] = ("alpha",)
    dead: tuple[str, ...] = ("alpha",)


class TestMixedLiteLLMDead(_Answers):
    own: tuple[str, ...] = ("beta",)
    dead: tuple[str, ...] = ("alpha",)
