"""Files and functions stay small enough to be read at once; ruff holds the complexity."""

import ast
from collections.abc import Iterator
from statistics import median

from tests.house.source import OWN_CODE, PACKAGES, Source, broken, sources

FILE_LINES_BELOW = 400
FUNCTION_LINES = 60
MEDIAN_FUNCTION_LINES = 12


def oversized(source: Source) -> list[str]:
    found = [
        source.at(node.lineno, f"{node.name} has {lines} lines of code, {FUNCTION_LINES} at most")
        for node, lines in function_sizes(source)
        if lines > FUNCTION_LINES
    ]
    total = len(source.text.splitlines())
    if total >= FILE_LINES_BELOW:
        found.append(source.at(1, f"has {total} lines; they stay below {FILE_LINES_BELOW}"))
    return found


def function_sizes(
    source: Source,
) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, int]]:
    """Yield each function and its lines from ``def`` to its end, without the docstring."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node, _lines(node) - (_lines(node.body[0]) if ast.get_docstring(node) else 0)


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_files_and_functions_keep_their_limits() -> None:
    assert broken(oversized, *OWN_CODE) == []


def test_half_of_the_functions_are_short() -> None:
    sizes = [lines for source in sources(*PACKAGES) for _, lines in function_sizes(source)]
    assert median(sizes) <= MEDIAN_FUNCTION_LINES


def test_long_function_is_found() -> None:
    text = "async def long():\n" + "    x = 1\n" * FUNCTION_LINES
    (finding,) = oversized(Source("a.py", text))
    assert finding == "a.py:1: long has 61 lines of code, 60 at most"


def test_docstring_does_not_count_as_code() -> None:
    text = 'def told():\n    """Say.\n' + "\n" * 100 + '    """\n    return 1\n'
    ((_, lines),) = function_sizes(Source("a.py", text))
    assert lines == 2
    assert oversized(Source("a.py", text)) == []


def test_long_file_is_found() -> None:
    assert oversized(Source("a.py", "x = 1\n" * (FILE_LINES_BELOW - 1))) == []
    assert oversized(Source("a.py", "x = 1\n" * FILE_LINES_BELOW)) != []
