"""A lab with three providers, and every surface of LiteLLM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import litellm
import pytest

from capability_router.lab import Lab
from tests.connections import connections
from tests.litellm.surfaces import PLACES, SURFACES, Setup, Surface, set_up


@pytest.fixture(autouse=True)
def providers() -> Iterator[None]:
    """Forget the provider that a test has registered."""
    before = litellm.custom_provider_map
    yield
    litellm.custom_provider_map = before


@pytest.fixture(params=list(PLACES))
def place(request: pytest.FixtureRequest) -> Any:
    return PLACES[request.param]


@pytest.fixture
def setup(place: Any) -> Iterator[Setup]:
    # The lab ends after the connections to it.
    with Lab(["alpha", "beta", "gamma"], answers="echo") as lab, connections():
        yield set_up(lab, place)


@pytest.fixture(params=list(SURFACES.values()), ids=list(SURFACES))
def ask(request: pytest.FixtureRequest) -> Surface:
    surface: Surface = request.param
    return surface
