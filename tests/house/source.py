"""What the house rules read: the project's Python files, parsed, and what they import.

A rule is a function from one ``Source`` to its findings, each a line ``path:line: what is wrong``.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENGINE = "capability_router/engine"
PACKAGES = (
    "capability_router",
    "integrations/langchain_capability_router",
    "integrations/litellm_capability_router",
)
OWN_CODE = (*PACKAGES, "benchmarks", "demo", "tests")


@dataclass(frozen=True)
class Source:
    """One Python file; made by hand where a test needs one that breaks a rule."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def module(self) -> str:
        return Path(self.path).stem

    def at(self, line: int, what: str) -> str:
        return f"{self.path}:{line}: {what}"


Rule = Callable[[Source], list[str]]


def sources(*folders: str) -> list[Source]:
    """Read every Python file at or under the folders, given from the root of the project."""
    return [
        Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]


def broken(rule: Rule, *folders: str) -> list[str]:
    """Return every finding of one rule in the folders."""
    return [finding for source in sources(*folders) for finding in rule(source)]


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of all that is imported, wherever it stands.

    ``from a import b`` yields ``a.b``; ``import_module("a.b")`` counts like ``import a.b``.
    """
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(names=names):
                origin = "." * node.level + (node.module or "")
                yield from ((node.lineno, f"{origin}.{alias.name}") for alias in names)
            case ast.Call(args=[ast.Constant(value=str(name)), *_]):
                if called(node) in {"import_module", "__import__"}:
                    yield node.lineno, name
            case _:
                pass


def called(call: ast.Call) -> str:
    """Return the last part of the name that is called; empty for other expressions."""
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""
