"""A lab with three providers, and every surface of the LiteLLM Router."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from capability_router.lab import Lab
from tests.connections import connections
from tests.litellm.surfaces import SURFACES, Setup, Surface, set_up


@pytest.fixture
def setup() -> Iterator[Setup]:
    # The lab ends after the connections to it.
    with Lab(["alpha", "beta", "gamma"], answers="echo") as lab, connections():
        yield set_up(lab)


@pytest.fixture(params=list(SURFACES.values()), ids=list(SURFACES))
def ask(request: pytest.FixtureRequest) -> Surface:
    surface: Surface = request.param
    return surface
