"""LangChain's standard suites on pools: each kind of backend, all well and with its first one dead.

That the lab answers as the suites expect is shown by plain ChatOpenAI, elsewhere.
"""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests
from pydantic import SecretStr

from capability_router.lab import Lab
from langchain_capability_router import ChatCapabilityRouter
from tests.connections import close_now, forget_lost_clients
from tests.langchain.pools import chat_openai
from tests.standard import WARNINGS, EverySwitch, media

__all__ = ["media"]

# LiteLLM makes a client for each thread that asks first, and loses all but one of them.
LOST_CLIENTS = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
pytestmark = [*WARNINGS, LOST_CLIENTS]

NOWHERE = "http://127.0.0.1:9/v1"
NAMES = ("tiny", "other")
PROVIDERS = ("alpha", "beta")


def configuration(folder: Path, urls: Mapping[str, str]) -> Path:
    """Write a configuration with models ``tiny`` and ``other`` of each provider."""
    lines = ["providers:"]
    lines += [
        f"  {name}: {{base_url: {url}, api_key: '${{env:LAB_KEY}}'}}" for name, url in urls.items()
    ]
    lines.append("models:")
    lines += [
        f"  {name}/{model}: {{capabilities: [chat-completion]}}" for model in NAMES for name in urls
    ]
    path = folder / "router.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


class _Pool(EverySwitch):
    """A pool of which ``own`` provider's models are chat models, the others LiteLLM's."""

    own: tuple[str, ...] = ()
    params: dict[str, Any]

    @property
    def chat_model_class(self) -> type[ChatCapabilityRouter]:
        return ChatCapabilityRouter

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return self.params


class _Units(_Pool, ChatModelUnitTests):
    @pytest.fixture(autouse=True)
    def configured(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LAB_KEY", "lab")
        self.path = configuration(tmp_path, dict.fromkeys(PROVIDERS, NOWHERE))
        self.params = {"router": self.path, "models": self.models()}

    def models(self) -> dict[str, BaseChatModel]:
        return {
            f"{provider}/{name}": ChatOpenAI(
                model=name, base_url=NOWHERE, api_key=SecretStr("lab"), max_retries=0
            )
            for provider in self.own
            for name in NAMES
        }

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        env = {"CAPABILITY_ROUTER_CONFIG": str(self.path), "OPENAI_API_KEY": "lab"}
        return env, {}, {"capability": "chat-completion"}


class _Answers(_Pool, ChatModelIntegrationTests):
    dead: tuple[str, ...] = ()

    @pytest.fixture(autouse=True)
    async def served(
        self,
        request: pytest.FixtureRequest,
        lab: Lab,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> AsyncIterator[None]:
        monkeypatch.setenv("LAB_KEY", "lab")
        path = configuration(tmp_path, {provider.name: provider.base_url for provider in lab})
        models = {f"{p}/{name}": chat_openai(lab[p], name) for p in self.own for name in NAMES}
        self.params = {"router": path, "models": models}
        for name in self.dead:
            lab[name].stop()
        yield
        await close_now()
        if request.node.name == "test_batch":
            forget_lost_clients()


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


class TestMixedFirstDead(_Answers):
    own: tuple[str, ...] = ("alpha",)
    dead: tuple[str, ...] = ("alpha",)
