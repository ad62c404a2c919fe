"""One lab for all of a module's cells, with every client made before a fault is timed."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tests.faults.playing import warm_up
from tests.faults.stage import Bench, bench


@pytest.fixture(scope="module")
def shared() -> Iterator[Bench]:
    with bench() as made:
        warm_up(made)
        yield made
    gc.unfreeze()
