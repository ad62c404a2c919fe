"""Whether memory grows with the requests: samples of a run, and a line through them."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import fmean, median

__all__ = ["MOST", "Growth", "Memory", "Sample", "census", "grown", "rss_kb"]

_STATUS = Path("/proc/self/statm")
_OURS = ("capability_router", "langchain_capability_router", "litellm_capability_router")
RSS, BLOCKS, OBJECTS, OURS = (
    "resident memory in kB",
    "blocks of memory",
    "objects",
    "objects of this project",
)
MOST = {RSS: 2.0, BLOCKS: 0.5, OBJECTS: 0.05, OURS: 0.01}
"""What may be added by a request, at most: one object in twenty requests is no leak of each. The
resident memory grows with LiteLLM alone as well, by 0.6 to 1.0 kB for each of 10,000 calls of
version 1.106, beside a number of objects that stays: that is the allocator's, not Python's."""
WARM_UP = 0.2
"""Share of the samples that is not looked at: caches and pools of clients fill up."""

PARTS = 12
_T_OF_TEN = 2.228
"""Of Student's distribution with ``PARTS - 2`` degrees of freedom, two-sided, 95 %."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look.

    Attributes:
        requests: Requests that had ended.
        value: What was measured.
    """

    requests: int
    value: float


@dataclass(frozen=True, slots=True)
class Growth:
    """The slope of a line, with its 95 % confidence interval.

    Attributes:
        per_request: The slope.
        low: Its lower bound.
        high: Its upper bound.
    """

    per_request: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.per_request:+.3f} ({self.low:+.3f} to {self.high:+.3f}) per request"


def grown(samples: Sequence[Sample]) -> Growth | None:
    """Lay a line through samples.

    Neighbouring samples resemble each other, which would make any line look certain: so the
    medians of twelve blocks are taken, which have little to do with each other.

    Args:
        samples: In the order of their taking.

    Returns:
        Growth by request; None if there are too few samples to tell.
    """
    size = len(samples) // PARTS
    if not size:
        return None
    parts = [samples[at * size : (at + 1) * size] for at in range(PARTS)]
    x = [fmean(sample.requests for sample in part) for part in parts]
    y = [median(sample.value for sample in part) for part in parts]
    mean_x, mean_y = fmean(x), fmean(y)
    spread = sum((each - mean_x) ** 2 for each in x)
    if not spread:
        return None
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread
    rest = sum((b - mean_y - slope * (a - mean_x)) ** 2 for a, b in zip(x, y, strict=True))
    margin = _T_OF_TEN * sqrt(rest / (PARTS - 2) / spread)
    return Growth(slope, slope - margin, slope + margin)


def rss_kb() -> float:
    """Return the memory that this process holds, in kB; 0 where the system does not tell."""
    return int(_STATUS.read_text().split()[1]) * 4.096 if _STATUS.exists() else 0.0


def census() -> tuple[int, Counter[str]]:
    """Count what the garbage collector knows, after a collection.

    Returns:
        All objects, and those of each class by its name.
    """
    gc.collect()
    kinds = Counter(map(type, gc.get_objects()))
    names = {f"{kind.__module__}.{kind.__qualname__}": count for kind, count in kinds.items()}
    return kinds.total(), Counter(names)


class Memory:
    """Looks at what a process holds while it works.

    Attributes:
        samples: What was seen, by what was measured.
        grown_kinds: By how many objects each class has grown since the first census.
    """

    def __init__(self) -> None:
        self.samples: dict[str, list[Sample]] = {name: [] for name in MOST}
        self.grown_kinds: Counter[str] = Counter()
        self._first: Counter[str] | None = None

    def look(self, requests: int, kept: int) -> None:
        """Take a sample of each; nobody else may be at work.

        Whoever asks for all objects gets tuples too that somebody is still filling, who fails then.

        Args:
            requests: Requests that have ended so far.
            kept: Objects of this project that are kept on purpose, and not for ever.
        """
        total, kinds = census()
        ours = sum(count for name, count in kinds.items() if name.startswith(_OURS))
        values = rss_kb(), sys.getallocatedblocks(), total - kept, ours - kept
        for name, value in zip(MOST, values, strict=True):
            self.samples[name].append(Sample(requests, value))
        self._first = self._first or kinds
        self.grown_kinds = kinds - self._first

    def growth(self, name: str) -> Growth | None:
        """Return by how much something grew with each request, after the warm-up."""
        samples = self.samples[name]
        return grown(samples[int(len(samples) * WARM_UP) :])

    def faults(self) -> Iterator[str]:
        """Say what grows beyond doubt, and by more than it may."""
        for name, most in MOST.items():
            growth = self.growth(name)
            if growth is not None and growth.low > most:
                yield f"{name} grows by {growth}, and may by {most}"
