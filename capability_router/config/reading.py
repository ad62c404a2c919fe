"""From YAML text to a document: one meaning per text, no key twice, secrets from elsewhere.

YAML 1.1 has surprises that change what a configuration means without a word: ``no`` is false,
``1:30`` is 90 and ``017`` is 15. Here they are text. Knows no key of the configuration.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import yaml
from yaml.composer import ComposerError
from yaml.reader import ReaderError

from capability_router.config.document import Document, Findings, KeyPath, Place
from capability_router.config.references import References, count_references
from capability_router.engine.errors import Problem

__all__ = ["content", "read"]

_DEEPEST = 32
_MOST_VALUES = 100_000
_MOST_NODES = 2 * _MOST_VALUES
"""Keys and values as they are written: reading more would take seconds."""
_MOST_REFERENCES = 1_000
"""Each may stand for 64 KiB."""
_MOST_CHARACTERS = 10_000_000
_LONGEST_TEXT = 1_000_000
"""Characters: some hundred times the largest configuration one would care to write."""

_TAG = "tag:yaml.org,2002:"
# Whole numbers end at 18 digits: longer ones are names, and Python refuses the longest.
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(
    r"[-+]?(?:(?:0|[1-9][0-9]{0,17})\.[0-9]*|\.[0-9]+|(?:0|[1-9][0-9]{0,17})(?=[eE]))"
    r"(?:[eE][-+]?[0-9]{1,3})?"
)
_SCALARS: dict[str, tuple[re.Pattern[str], str, Callable[[str], object]]] = {
    "bool": (re.compile("true|True|TRUE|false|False|FALSE"), "tTfF", lambda t: t[0] in "tT"),
    "int": (_INT, "-+0123456789", int),
    "float": (_FLOAT, "-+.0123456789", float),
    "null": (re.compile("~|null|Null|NULL|"), "~nN", lambda _: None),
}
"""The scalars that are no text, as YAML 1.2 has them: spelling, first characters, value."""

_SURROGATE = re.compile("[\ud800-\udfff]")

_HINTS = {
    "'<stream end>'": "a quote or a bracket is not closed",
    "but got '{'": "inside { } put ${env:NAME} in quotes",
    "'\\t'": "indent with blanks, not with tabs",
    "cannot start any token": "put a text that starts so in quotes",
    "mapping values are not allowed": "check the indentation, and put a text with ': ' in quotes",
    "could not find expected ':'": "write a blank after the colon, and check the indentation",
    "expected <block end>": "check the indentation, the quotes and the brackets",
    "expected ',' or": "check the brackets, and put a text with ',' or ': ' in quotes",
    "unexpected end of stream": "a quote or a bracket is not closed",
    "end of the stream": "a quote or a bracket is not closed",
}


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """Tags and spellings by first character, as PyYAML wants them; it only looks at starts."""
    found: dict[str, list[tuple[str, re.Pattern[str]]]] = {"": []}
    for name, (spelling, firsts, _) in _SCALARS.items():
        whole = re.compile(rf"(?:{spelling.pattern})\Z")
        for first in [*firsts, *([""] if spelling.fullmatch("") else [])]:
            found.setdefault(first, []).append((_TAG + name, whole))
    return found


class _Loader(yaml.SafeLoader):
    """Composes nodes with the scalars of YAML 1.2, down to a limited depth."""

    yaml_implicit_resolvers = _resolvers()

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        if parent is not None and self._depth > _DEEPEST:
            problem = f"nested more than {_DEEPEST} levels deep"
            raise ComposerError(problem=problem, problem_mark=parent.start_mark)
        self._nodes += 1
        if parent is not None and self._nodes > _MOST_NODES:
            problem = f"more than {_MOST_NODES:,} keys and values"
            raise ComposerError(problem=problem, problem_mark=parent.start_mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _TooLargeError(Exception):
    """A document expands to more than can be meant; the message can be shown."""


def content(name: str) -> str | Problem:
    """Return the text of a file, or why there is none."""
    try:
        return Path(name).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        return Problem(f"not UTF-8 text: byte {error.start} cannot be read", file=name)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "the path cannot be used"
    # Whoever passes the text itself must not see it, keys included, as the name of a file.
    if "\n" in name or ": " in name:
        return Problem("load takes the path of a file; for YAML text there is loads")
    return Problem(f"cannot be read: {why[0].lower()}{why[1:]}", file=name)


def read(text: str, file: str, references: References, section: str = "") -> Document:
    """Read a document.

    Args:
        text: The YAML text.
        file: Its name, for messages.
        references: Where ``${env:NAME}`` and its like lead.
        section: Key at the top under which the document stands; empty if it is the whole text.

    Returns:
        The document. What could be read past is in its findings; nothing more is said about the
        values concerned.

    Raises:
        ConfigurationError: If the text is no YAML, is empty, has no such section, or holds no
            mapping.
    """
    findings = Findings(file, section)
    text = text.removeprefix("\ufeff")
    node = _compose(text, findings)
    if section and node is not None:
        node = _under(section, node, findings)
    findings.stop_if_any()
    reading = _Reading(findings, references)
    root = reading.whole(cast("yaml.Node", node))
    if not isinstance(root, dict):
        found = "a list" if isinstance(root, list) else "a single value"
        message = f"expected keys such as providers, models and pools, found {found}"
        findings.add(reading.values[()] if section else Place(1, 1), (), message)
        findings.stop_if_any()
    values = cast("dict[str, object]", root)
    return Document(values, reading.keys, reading.values, reading.references, findings)


def _compose(text: str, findings: Findings) -> yaml.Node | None:
    """The nodes of a text; None, with a finding, if there are none.

    No error of the parser may leave, nor become the context of another: it holds the whole text,
    and prints the line it stopped at.
    """
    if len(text) > _LONGEST_TEXT:
        findings.add(Place(1, 1), (), f"larger than {_LONGEST_TEXT:,} characters")
        return None
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except ReaderError as error:
        before = text[: error.position]
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        findings.add(place, (), "not valid YAML: there is a character here that cannot be printed")
    except yaml.MarkedYAMLError as error:
        findings.add(_place(error.problem_mark or error.context_mark), (), _syntax(error))
    # The scanner turns escapes and version numbers into characters and numbers, unchecked.
    except (ValueError, OverflowError):
        place = _place(loader.get_mark() if loader else None)
        findings.add(place, (), "not valid YAML: this stands for no character or number")
    else:
        if node is not None and node.tag != f"{_TAG}null":
            return node
        findings.add(Place(1, 1), (), "the document is empty; write at least providers and models")
    return None


def _under(section: str, node: yaml.Node, findings: Findings) -> yaml.Node | None:
    """What stands under a key at the top; None, with a finding, if that is nothing.

    Only this is read: the rest of the file is somebody else's, and may be what is refused here.
    """
    pairs = cast("list[tuple[yaml.Node, yaml.Node]]", node.value)
    at_top = pairs if isinstance(node, yaml.MappingNode) else []
    found = [(key, value) for key, value in at_top if key.value == section]
    if not found:
        findings.add(_place(node.start_mark), (), "this file has no such section")
        return None
    key, value = found[-1]
    if len(found) > 1:
        findings.add(_place(key.start_mark), (), "this key stands twice; keep one")
    elif value.tag == f"{_TAG}null":
        findings.add(_place(key.start_mark), (), "the section is empty; write pools, for instance")
    return value


def _syntax(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "cannot be parsed"
    # Names of aliases, anchors and tags may be anything, a key that begins with * or ! included.
    problem = re.sub(r"(alias|anchor|tag handle) .*", r"\1", problem, flags=re.DOTALL)
    if error.context and error.context.startswith("while "):
        problem = f"{error.context}, {problem}"
    hint = next((f"; {hint}" for part, hint in _HINTS.items() if part in problem), "")
    return f"not valid YAML: {problem}{hint}"


def _place(mark: yaml.Mark | None) -> Place:
    return Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)


@dataclass(slots=True)
class _Reading:
    """One pass over the nodes: their values, their places, and what is wrong with them."""

    findings: Findings
    leading: References
    keys: dict[KeyPath, Place] = field(default_factory=dict[KeyPath, Place])
    values: dict[KeyPath, Place] = field(default_factory=dict[KeyPath, Place])
    references: dict[KeyPath, str] = field(default_factory=dict[KeyPath, str])
    refused: set[KeyPath] = field(default_factory=set[KeyPath])
    followed: int = 0
    length: int = 0

    def whole(self, node: yaml.Node) -> object:
        try:
            return self.value(node, ())
        except _TooLargeError as error:
            self.findings.add(Place(1, 1), (), str(error))
        finally:
            for path in self.refused:
                self.findings.settle(path)
        self.findings.stop_if_any()
        return None

    def value(self, node: yaml.Node, path: KeyPath) -> object:
        self.values[path] = _place(node.start_mark)
        # An anchor may hold itself, and ten aliases of ten aliases grow like a bomb.
        if len(path) > _DEEPEST or len(self.values) > _MOST_VALUES:
            message = f"anchors and aliases expand to more than {_MOST_VALUES:,} values"
            raise _TooLargeError(message)
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(cast("list[tuple[yaml.Node, yaml.Node]]", node.value), path)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            items = enumerate(cast("list[yaml.Node]", node.value))
            return [self.value(item, (*path, place)) for place, item in items]
        return self._scalar(node, path)

    def _mapping(self, pairs: list[tuple[yaml.Node, yaml.Node]], path: KeyPath) -> object:
        found: dict[str, object] = {}
        for key, node in pairs:
            place = _place(key.start_mark)
            name = self._key(key, path)
            if name is None:
                continue
            at = (*path, name)
            if name in found:
                lines = f"in line {self.keys[at].line} and in line {place.line}"
                self.findings.add(place, at, f"this key stands twice, {lines}; keep one")
                continue
            self.keys[at] = place
            found[name] = self.value(node, at)
        return found

    def _key(self, node: yaml.Node, path: KeyPath) -> str | None:
        text = cast("object", node.value)
        message = None
        if node.tag != f"{_TAG}str" or not isinstance(text, str):
            message = "a key must be text; put it in quotes"
        elif text == "<<":
            message = "merge keys (<<) are not supported; write the keys out, or use an alias"
        elif _SURROGATE.search(text):
            message = "this key is not valid Unicode"
        if message is not None:
            self.findings.add(_place(node.start_mark), path, message)
            return None
        return cast("str", text)

    def _scalar(self, node: yaml.Node, path: KeyPath) -> object:
        text = cast("object", node.value)
        kind = node.tag.removeprefix(_TAG)
        if isinstance(text, str) and kind == "str":
            return self._text(text, path)
        if isinstance(text, str) and kind in _SCALARS and _SCALARS[kind][0].fullmatch(text):
            return _SCALARS[kind][2](text)
        self._refuse(path, "tags are not supported; put a text that starts with ! in quotes")
        return None

    def _text(self, text: str, path: KeyPath) -> str:
        self.length += len(text)
        if self.length > _MOST_CHARACTERS:
            message = f"anchors and aliases expand to more than {_MOST_CHARACTERS:,} characters"
            raise _TooLargeError(message)
        if _SURROGATE.search(text):
            self._refuse(path, "this text is not valid Unicode")
        found = count_references(text)
        if not found:
            return text
        self.followed += found
        if self.followed > _MOST_REFERENCES:
            message = f"there are more than {_MOST_REFERENCES:,} references such as ${{env:NAME}}"
            raise _TooLargeError(message)
        self.references[path] = text
        return self.leading.resolved(text, lambda told: self._refuse(path, told))

    def _refuse(self, path: KeyPath, message: str) -> None:
        self.findings.add(self.values[path], path, message)
        self.refused.add(path)
