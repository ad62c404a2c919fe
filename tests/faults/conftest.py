"""One lab for all of a module's cells."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tests.faults.playing import warm_up
from tests.faults.stage import Bench, bench


@pytest.fixture(scope="module")
def shared() -> Iterator[Bench]:
    with bench() as made:
        yield made


@pytest.fixture(scope="module")
def warm(shared: Bench) -> Iterator[Bench]:
    """The same with every client made, so that a first call fits into a short limit."""
    warm_up(shared)
    yield shared
    gc.unfreeze()
