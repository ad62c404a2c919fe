"""What a check of a configuration can find, and one such finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

__all__ = ["RULES", "Finding", "Rule", "Severity"]


class Severity(StrEnum):
    """How much a finding matters, from most to least."""

    ERROR = "error"
    """Requests fail as soon as they come."""
    WARNING = "warning"
    """Requests fail as soon as something else does, or the file says what it does not do."""
    NOTE = "note"
    """Worth knowing, and often meant."""

    def reaches(self, least: Severity) -> bool:
        """Return whether it matters at least as much as another."""
        order = list(Severity)
        return order.index(self) <= order.index(least)


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing to look for.

    Attributes:
        severity: How much its findings matter.
        about: What it looks for, as a phrase.
    """

    severity: Severity
    about: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is doubtful about a configuration that can be used.

    Attributes:
        code: Which of ``RULES`` it is of; stable, to be named by those who leave it out.
        severity: How much it matters.
        message: What was found.
        remedy: What to do about it.
        key_path: Dotted path of the key, for instance ``pools.text``.
        file: Name of the file.
        line: Line in the file, counted from 1.
        column: Column in the line, counted from 1.
    """

    code: str
    severity: Severity
    message: str
    remedy: str
    key_path: str
    file: str
    line: int
    column: int

    @property
    def place(self) -> str:
        """Where it is, as ``file:line:column``."""
        return f"{self.file}:{self.line}:{self.column}"

    def __str__(self) -> str:
        at = f"{self.place}: {self.key_path}" if self.key_path else self.place
        return f"{at}: {self.severity}[{self.code}]: {self.message}; {self.remedy}"

    def as_dict(self) -> dict[str, object]:
        """Return the finding as JSON-ready values."""
        return {
            "code": self.code,
            "severity": str(self.severity),
            "message": self.message,
            "remedy": self.remedy,
            "key_path": self.key_path,
            "file": self.file,
            "line": self.line,
            "column": self.column,
        }


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "unset-variable": Rule(_E, "an environment variable that is needed is not set"),
        "empty-pool": Rule(_E, "a pool has no model"),
        "overload": Rule(_E, "the limits allow less than the expected load"),
        "unknown-vendor": Rule(_W, "nobody knows a vendor of this name"),
        "unused-provider": Rule(_W, "a provider has no model"),
        "unreachable-node": Rule(_W, "a node that the file adds or names has no model"),
        "unreachable-model": Rule(_W, "every pool that covers a model leaves it out"),
        "single-provider": Rule(_W, "all models of a pool belong to one provider"),
        "shared-host": Rule(_W, "all providers of a pool are at one host"),
        "shared-key": Rule(_W, "all providers of a pool have one API key"),
        "lone-feature": Rule(_W, "only one model of a pool has a feature"),
        "no-spare": Rule(_W, "the expected load needs every provider of a pool"),
        "lone-window": Rule(_N, "only one model of a pool takes the longest requests"),
        "no-pool": Rule(_N, "no pool covers a capability, so that the defaults hold"),
        "no-models": Rule(_N, "the file has no model"),
    }
)
"""What is looked for, by code, the gravest first."""
