"""The pages about events and statistics say what the code does."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from capability_router.engine.events import EventType, RoutingEvent
from capability_router.engine.provider_health import ProviderHealth
from capability_router.engine.statistics import RouterStatistics, Statistics
from tests.docs.snippets import snippets

DOCS = Path(__file__).parents[2] / "docs"
EVENTS = (DOCS / "events.md").read_text("utf-8")
STATISTICS = (DOCS / "statistics.md").read_text("utf-8")


def rows(page: str) -> list[str]:
    """Return the names in the first column of all tables of a page."""
    cells = re.findall(r"^\| (`[^|]+) \|", page, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


@pytest.mark.parametrize("page", [EVENTS, STATISTICS], ids=["events", "statistics"])
def test_example_prints_what_the_page_says(page: str) -> None:
    code, printed = (snippet.code for snippet in snippets(page))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, printed), done.stderr


def test_table_of_events_has_every_type_and_no_other() -> None:
    told = rows(EVENTS)
    assert set(told) == set(map(str, EventType))
    # The one that is told of a model and of a pool.
    assert len(told) == len(EventType) + 1


def test_every_field_of_an_event_and_every_health_is_told() -> None:
    words = set(re.findall(r"`(\w+)`", EVENTS))
    assert {field.name for field in fields(RoutingEvent)} <= words
    assert set(map(str, ProviderHealth)) <= words


def test_every_field_of_statistics_is_told() -> None:
    assert set(rows(STATISTICS)) >= {field.name for field in fields(Statistics)}
    assert set(rows(STATISTICS)) >= {
        name for name, value in vars(Statistics).items() if isinstance(value, property)
    }
    words = set(re.findall(r"`(\w+)`", STATISTICS))
    assert {field.name for field in fields(RouterStatistics)} <= words
