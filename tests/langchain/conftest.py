"""The providers that every test here talks to, over real loopback sockets."""

from collections.abc import Iterator

import pytest

from capability_router.lab import Lab
from tests.connections import connections
from tests.langchain.pools import BUILDS, STREAMS, WAYS, Ask, Build


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(["alpha", "beta"], answers="echo") as lab:
        yield lab


@pytest.fixture(autouse=True)
def closed_connections(request: pytest.FixtureRequest) -> Iterator[None]:
    # The lab ends after the connections to it.
    if "lab" in request.fixturenames:
        request.getfixturevalue("lab")
    with connections():
        yield


@pytest.fixture(params=list(BUILDS.values()), ids=list(BUILDS))
def build(request: pytest.FixtureRequest) -> Build:
    build: Build = request.param
    return build


@pytest.fixture(params=list(WAYS.values()), ids=list(WAYS))
def ask(request: pytest.FixtureRequest) -> Ask:
    ask: Ask = request.param
    return ask


@pytest.fixture(params=list(STREAMS.values()), ids=list(STREAMS))
def ask_in_chunks(request: pytest.FixtureRequest) -> Ask:
    ask: Ask = request.param
    return ask
