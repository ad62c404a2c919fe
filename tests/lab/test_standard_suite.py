"""LangChain's standard suites on plain ChatOpenAI: the lab answers as the suites expect of OpenAI.

What a pool does to answers is tested elsewhere; here nothing stands between client and lab.
"""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from capability_router.lab import Lab
from tests.standard import WARNINGS, EverySwitch, media

__all__ = ["media"]

pytestmark = WARNINGS


NOWHERE = "http://127.0.0.1:9/v1"


class TestUnits(EverySwitch, ChatModelUnitTests):
    chat_model_class = ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "tiny", "base_url": NOWHERE, "api_key": "lab"}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        settings = {"OPENAI_API_KEY": "lab", "OPENAI_API_BASE": NOWHERE}
        read = {"openai_api_key": "lab", "openai_api_base": NOWHERE}
        return settings, {"model": "tiny"}, read


class TestAnswers(EverySwitch, ChatModelIntegrationTests):
    chat_model_class = ChatOpenAI
    params: dict[str, Any]

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return self.params

    @pytest.fixture(autouse=True)
    async def served(self, provider_lab: Lab) -> AsyncIterator[None]:
        # Nothing here speaks TLS, and reading the certificates takes longer than the test.
        async with httpx.AsyncClient(verify=False) as async_client:
            with httpx.Client(verify=False) as client:
                self.params = {
                    "model": "tiny",
                    "base_url": provider_lab["alpha"].base_url,
                    "api_key": "lab",
                    "max_retries": 0,
                    "stream_usage": True,
                    "http_client": client,
                    "http_async_client": async_client,
                }
                yield
