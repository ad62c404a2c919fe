"""References to secrets: ``${env:NAME}``, ``${file:PATH}`` and the schemes of resolvers.

Knows where a secret is kept, not what it is for. No message holds what was read, nor what a
resolver said when it failed: either may be the secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from capability_router import registry
from capability_router.engine.errors import ConfigurationError, Problem
from capability_router.engine.model import Secret

__all__ = [
    "References",
    "SecretResolver",
    "count_references",
    "is_reference",
    "is_usable_key",
    "key_reader",
    "variables_in",
]

_REFERENCE = re.compile(r"\$\{([a-z][a-z0-9_-]*):([^}]*)(\}?)")
_SCHEME = re.compile(r"[a-z][a-z0-9_-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SURROGATE = re.compile("[\ud800-\udfff]")

_OWN = ("env", "file")
_LARGEST_KIB = 64
"""Size of a file: a key has some hundred bytes, and a service account's JSON some thousand."""
_LONGEST_PATH = 300


class SecretResolver(Protocol):
    """Fetches secrets from where they are kept, for references such as ``${vault:PATH#KEY}``.

    It is called while a configuration is read, and again, from any thread or event loop, when a
    provider refuses a key: let it answer within seconds.
    """

    def __call__(self, reference: str, /) -> str:
        """Return the secret.

        Args:
            reference: What stands after the scheme, such as ``PATH#KEY``.

        Raises:
            Exception: If there is none; its class is told, its text is not.
        """
        ...


class _UnresolvedError(Exception):
    """A reference that stands for nothing; the message can be shown."""


@dataclass(frozen=True, slots=True)
class References:
    """Where references lead.

    Attributes:
        environ: The environment variables.
        folder: Where relative paths start.
        resolvers: What fetches the secrets of further schemes; those that are registered under
            ``capability_router.secrets`` need not be named here.

    Raises:
        ValueError: If a scheme is malformed, or one of the project's own.
    """

    environ: Mapping[str, str] = field(repr=False)
    folder: Path = Path()
    resolvers: Mapping[str, SecretResolver] = field(default_factory=dict[str, SecretResolver])

    def __post_init__(self) -> None:
        for scheme in self.resolvers:
            if not _SCHEME.fullmatch(scheme) or scheme in _OWN:
                raise ValueError(
                    f"secrets: {scheme!r} cannot be the scheme of a resolver; write a name of a-z,"
                    f" 0-9, '-' and '_' other than {' and '.join(_OWN)}"
                )

    def resolved(self, text: str, blame: Callable[[str], object]) -> str:
        """Return a text with what its references stand for.

        Args:
            text: As it is written.
            blame: Takes a sentence for each reference that leads nowhere.
        """

        def value(found: re.Match[str]) -> str:
            try:
                return self._value(found)
            except _UnresolvedError as error:
                blame(str(error))
                return ""

        return _REFERENCE.sub(value, text)

    def _value(self, found: re.Match[str]) -> str:
        scheme, reference, end = found.groups()
        if not (reference and end) or (scheme == "env" and not _VARIABLE.fullmatch(reference)):
            form = {"env": "NAME", "file": "PATH"}.get(scheme, "REFERENCE")
            raise _UnresolvedError(f"the reference is malformed; write ${{{scheme}:{form}}}")
        if scheme == "env":
            return self._variable(reference)
        return self._file(reference) if scheme == "file" else self._fetched(scheme, reference)

    def _variable(self, name: str) -> str:
        value = self.environ.get(name, "")
        if not value:
            raise _UnresolvedError(f"the environment variable {name!r} is not set, or is empty")
        if _SURROGATE.search(value):
            raise _UnresolvedError(f"the environment variable {name!r} holds no valid text")
        return value

    def _file(self, name: str) -> str:
        shown = f"the file {name[:_LONGEST_PATH]!r}"
        try:
            raw = _content(self.folder / name)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "the path cannot be used"
            raise _UnresolvedError(
                f"{shown} cannot be read: {why[0].lower()}{why[1:]}; check the path, which"
                " starts at the folder of this configuration if it is relative, and who may read it"
            ) from None
        if len(raw) > _LARGEST_KIB * 1024:
            told = f"is larger than {_LARGEST_KIB} KiB; name one that holds the secret alone"
            raise _UnresolvedError(f"{shown} {told}")
        try:
            text = raw.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise _UnresolvedError(f"{shown} is not UTF-8 text; write the secret as text") from None
        if not text:
            raise _UnresolvedError(f"{shown} is empty; write the secret into it")
        return text

    def _fetched(self, scheme: str, reference: str) -> str:
        resolver = self._resolver(scheme)
        try:
            value = resolver(reference)
        # Whatever it raises is told by its class alone.
        except Exception as error:  # noqa: BLE001 - foreign code
            told = f"the resolver of {scheme!r} raised {type(error).__name__}; see what it needs"
            raise _UnresolvedError(told) from None
        if not isinstance(value, str):
            told = f"returned no text but a {type(value).__name__!r}"
        elif not value:
            told = "returned an empty text"
        elif _SURROGATE.search(value):
            told = "returned a text that is not valid Unicode"
        else:
            return value
        raise _UnresolvedError(f"the resolver of {scheme!r} {told}; it has to return the secret")

    def _resolver(self, scheme: str) -> Callable[[str], object]:
        if scheme in self.resolvers:
            return self.resolvers[scheme]
        installed = registry.names(registry.SECRETS)
        if scheme not in installed:
            known = ", ".join([*_OWN, *sorted({*self.resolvers, *installed})])
            raise _UnresolvedError(
                f"nothing resolves references of {scheme!r}; known: {known}; pass a function for it"
                " as secrets={...}, or register one"
            )
        try:
            return registry.resolve(registry.SECRETS, scheme)
        except (ValueError, ImportError) as error:
            raise _UnresolvedError(f"the resolver of {scheme!r}: {error}") from None


def count_references(text: str) -> int:
    """Return how many parts of a text stand for something that is kept elsewhere."""
    return len(_REFERENCE.findall(text)) if "${" in text else 0


def variables_in(text: str) -> list[str]:
    """Return the names of the environment variables that a text refers to."""
    return [found[2] for found in _REFERENCE.finditer(text) if found[1] == "env"]


def is_reference(text: str) -> bool:
    """Return whether the whole of a text is one reference."""
    found = _REFERENCE.fullmatch(text)
    return found is not None and bool(found[3])


def is_usable_key(text: str) -> bool:
    """Return whether a text can be an API key: a client reports any other with its characters."""
    return text.isascii() and text.isprintable() and " " not in text and bool(text)


def key_reader(references: References, written: str, place: Problem) -> Callable[[], Secret]:
    """Return what reads an API key anew.

    Args:
        references: Where its reference leads.
        written: The reference.
        place: Where it stands; the message is replaced.

    Returns:
        A function that returns the key as it is now, or raises ``ConfigurationError``.
    """

    def read() -> Secret:
        problems: list[str] = []
        text = references.resolved(written, problems.append)
        if not problems and not is_usable_key(text):
            problems.append("this holds a character that no API key has")
        if problems:
            raise ConfigurationError([replace(place, message=problems[0])])
        return Secret(text)

    return read


def _content(path: Path) -> bytes:
    """The bytes of a file, one more than are allowed at most."""
    # A pipe may keep its reader waiting for ever, and has nothing left for a second time.
    if path.exists() and not path.is_file():
        raise OSError(0, "it is no regular file")
    with path.open("rb") as file:
        return file.read(_LARGEST_KIB * 1024 + 1)
