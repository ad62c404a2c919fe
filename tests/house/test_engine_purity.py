"""The engine decides and does nothing else: same clock, seed and inputs, same decisions."""

import ast
from collections.abc import Iterator

import pytest

from tests.house.source import ENGINE, Source, broken, called, imports, sources

# All that may be imported from outside the engine: nothing here can read the world or wait for it.
PURE = {
    "__future__",
    "abc",
    "bisect",
    "collections",
    "contextlib",
    "copy",
    "dataclasses",
    "datetime",
    "difflib",
    "enum",
    "fractions",
    "functools",
    "graphlib",
    "hashlib",
    "heapq",
    "itertools",
    "json",
    "math",
    "operator",
    "random",
    "re",
    "statistics",
    "string",
    "textwrap",
    "types",
    "typing",
    "weakref",
}
IMPURE_CALLS = {"__import__", "breakpoint", "eval", "exec", "input", "open", "print", "sleep"}
CLOCK_READS = {"now", "today", "utcnow"}
# Where code that is not ours is called, and must not be able to harm the caller.
CALLS_FOREIGN_CODE = {
    f"{ENGINE}/events.py": "subscribers",
    f"{ENGINE}/blueprint.py": "the select functions of a configuration",
}


def impurities(source: Source) -> list[str]:
    return [
        *(source.at(line, what) for line, what in _impure_imports(source.tree)),
        *(source.at(line, what) for line, what in _impure_expressions(source.tree)),
        *(source.at(line, what) for line, what in _blind_handlers(source)),
    ]


def _impure_imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for line, name in imports(tree):
        top, _, rest = name.partition(".")
        if top not in PURE | {"capability_router"}:
            yield line, f"imports {name}: not among the modules that cannot touch the world"
        elif top == "random" and rest not in {"", "Random"}:
            yield line, f"imports {name}: draws come from the Random that is handed in"


def _impure_expressions(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
                yield node.lineno, "is asynchronous: waiting belongs to the drivers"
            case ast.Attribute(value=ast.Name(id="random"), attr=attr) if attr != "Random":
                yield node.lineno, f"random.{attr} draws from the global source"
            case ast.Call() if called(node) in IMPURE_CALLS:
                yield node.lineno, f"calls {called(node)}"
            case ast.Call(args=[], keywords=[]) if called(node) == "Random":
                yield node.lineno, "Random() without a seed cannot be replayed"
            case ast.Call(func=ast.Attribute(value=owner, attr=attr)) if attr in CLOCK_READS:
                if ast.unparse(owner).rpartition(".")[2] in {"date", "datetime"}:
                    yield node.lineno, f"{ast.unparse(node.func)} reads the clock"
            case _:
                pass


def _blind_handlers(source: Source) -> Iterator[tuple[int, str]]:
    if source.path in CALLS_FOREIGN_CODE:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            caught = "" if node.type is None else ast.unparse(node.type)
            if not caught or "Exception" in caught.strip("()").split(", "):
                yield node.lineno, f"except {caught}: would hide a bug of the engine"
            elif "BaseException" in caught:
                yield node.lineno, f"except {caught}: would hold back an interrupt"


def test_engine_is_pure() -> None:
    assert sources(ENGINE)
    assert broken(impurities, ENGINE) == []


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "import threading",
        "from os import environ",
        "import concurrent.futures",
        "import logging.handlers",
        "import pydantic",
        "import importlib",
        "def late():\n    import socket",
        "from random import random",
        "import random\nrandom.shuffle([])",
        "from random import Random\nRandom()",
        "import random\nrandom.Random()",
        "open('a')",
        "print('a')",
        "clock.sleep(1)",
        "from datetime import datetime\ndatetime.now()",
        "import datetime\ndatetime.datetime.now(datetime.UTC)",
        "import datetime\ndatetime.date.today()",
        "async def wait(): ...",
        "try:\n    x = 1\nexcept Exception:\n    raise",
        "try:\n    x = 1\nexcept (ValueError, Exception):\n    raise",
        "try:\n    x = 1\nexcept BaseException:\n    raise",
        "try:\n    x = 1\nexcept:\n    raise",
    ],
)
def test_what_touches_the_world_is_found(text: str) -> None:
    assert len(impurities(Source(f"{ENGINE}/pool.py", text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "from random import Random\ndef draw(rng: Random) -> float:\n    return rng.random()",
        "from random import Random\nRandom(7)",
        "def read(clock):\n    return clock.now()",
        "from datetime import datetime\ndef resets(at: datetime): ...",
        "try:\n    x = 1\nexcept UnknownCapabilityError:\n    raise",
    ],
)
def test_what_is_handed_in_may_be_used(text: str) -> None:
    assert impurities(Source(f"{ENGINE}/pool.py", text)) == []


def test_events_may_guard_itself_against_its_subscribers() -> None:
    text = "try:\n    subscriber(event)\nexcept Exception as error:\n    failures.append(error)"
    assert impurities(Source(f"{ENGINE}/events.py", text)) == []
