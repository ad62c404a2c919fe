"""Whoever silences a tool says which of its rules, and why."""

import io
import re
import tokenize

import pytest

from tests.house.source import OWN_CODE, Source, broken

MARK = re.compile(
    r"#\s*(?:(?:type|pyright):\s*ignore|(?:(?:ruff|flake8):\s*)?noqa|mypy:)", re.IGNORECASE
)
WITH_CODE = re.compile(
    r"#\s*(?:(?:type|pyright):\s*ignore\[[\w, -]+\]"
    r"|(?:ruff:\s*)?noqa:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*(?![\w,]))"
)
# Two words at least: "because" is none.
REASON = re.compile(r"[^\W\d_]+\W+[^\W\d_]+")


def unexplained(source: Source) -> list[str]:
    found: list[str] = []
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type != tokenize.COMMENT or not MARK.search(token.string):
            continue
        rest = WITH_CODE.sub("", token.string)
        if MARK.search(rest):
            found.append(source.at(token.start[0], f"names no code: {token.string}"))
        elif not REASON.search(rest):
            found.append(source.at(token.start[0], f"gives no reason: {token.string}"))
    return found


def test_every_suppression_has_a_code_and_a_reason() -> None:
    assert broken(unexplained, *OWN_CODE) == []


@pytest.mark.parametrize(
    "comment",
    [
        "# type: ignore",
        "# type: ignore  # the stubs are wrong",
        "# type: ignore[arg-type]",
        "# noqa",
        "# noqa - the stubs are wrong",
        "# noqa: E501",
        "# NOQA: the table",
        "# ruff: noqa",
        "# pyright: ignore",
        "# pyright: ignore[reportPrivateUsage]",
        "# type: ignore[misc]  # noqa: N802",
        "# type: ignore[misc]  # noqa  # the host calls it so",
        "# mypy: ignore-errors",
    ],
)
def test_bare_suppression_is_found(comment: str) -> None:
    assert len(unexplained(Source("a.py", f"x = 1  {comment}\n"))) == 1


@pytest.mark.parametrize(
    "comment",
    [
        "# type: ignore[arg-type]  # checked by pydantic",
        "# noqa: BLE001 - foreign code",
        "# noqa: N802, N803  # the host's own names",
        "# pyright: ignore[reportUnknownMemberType]  # litellm is untyped here",
        "# type: ignore[misc]  # noqa: N802  # the host calls it so",
        "# why the noise is ignored",
    ],
)
def test_explained_suppression_is_allowed(comment: str) -> None:
    assert unexplained(Source("a.py", f"x = 1  {comment}\n")) == []


def test_text_in_a_string_is_no_suppression() -> None:
    assert unexplained(Source("a.py", 'x = "# noqa"\n')) == []
