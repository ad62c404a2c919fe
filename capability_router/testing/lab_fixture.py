"""A pytest fixture with three providers that fail on demand."""

from collections.abc import Iterator

import pytest

from capability_router.lab import Lab


@pytest.fixture
def provider_lab() -> Iterator[Lab]:
    """Run the providers alpha, beta and gamma on loopback ports for the length of one test.

    Healthy answers echo the last message of the user. Needs nothing but pytest; switch it on with
    ``pytest_plugins = ["capability_router.testing"]``.

    Yields:
        A started lab, stopped after the test.
    """
    with Lab(["alpha", "beta", "gamma"], answers="echo") as lab:
        yield lab
