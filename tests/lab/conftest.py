"""Clients of the lab, closed after each test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import anthropic
import httpx
import openai
import pytest

from capability_router.lab import LabProvider
from capability_router.testing.lab_fixture import provider_lab

__all__ = ["openai_client", "provider_lab", "raw"]


@pytest.fixture
def openai_client() -> Iterator[Callable[[LabProvider], openai.OpenAI]]:
    with ExitStack() as stack:

        def make(provider: LabProvider) -> openai.OpenAI:
            client = openai.OpenAI(base_url=provider.base_url, api_key="a-secret", max_retries=0)
            return stack.enter_context(client)

        yield make


@pytest.fixture
def raw() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=10, trust_env=False) as client:
        yield client


@pytest.fixture
def anthropic_client() -> Iterator[Callable[[LabProvider], anthropic.Anthropic]]:
    with ExitStack() as stack:

        def make(provider: LabProvider) -> anthropic.Anthropic:
            client = anthropic.Anthropic(
                base_url=provider.root_url, api_key="a-secret", max_retries=0
            )
            return stack.enter_context(client)

        yield make
