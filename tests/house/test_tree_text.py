"""No file tells where it was written: no package index, no folder of somebody's machine."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.house.source import ROOT

TELLTALES = {
    "a package index": re.compile(r"https?://[^\s\"'<>)]+/(?:simple|packages)(?:/|\b)"),
    "an index option": re.compile(r"--(?:extra-)?index-url[ =]\S*[/:]|--find-links[ =]\S*[/:]"),
    "a folder of one machine": re.compile(
        r"(?:(?<![\w.~}*/-])|file://)(?:/(?:home|Users)/[A-Za-z]|/(?:opt|root|work|workspace)/\w)"
        r"|\b[A-Z]:\\Users\\"
    ),
}


def telltales(path: str, text: str) -> list[str]:
    return [
        f"{path}:{number}: names {what}"
        for number, line in enumerate(text.splitlines(), start=1)
        for what, pattern in TELLTALES.items()
        if pattern.search(line)
    ]


def committed_files() -> list[Path]:
    """Return the files git has or would take; of a tree without git, those not hidden."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        files = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        shown = (path for path in ROOT.iterdir() if not path.name.startswith("."))
        files = [file for path in shown for file in (path, *path.rglob("*"))]
    return [path for path in files if path.is_file()]


def text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def test_files_do_not_tell_where_they_were_written() -> None:
    files = committed_files()
    assert ROOT / "pyproject.toml" in files
    found = (telltales(str(path.relative_to(ROOT)), text_of(path)) for path in files)
    assert [finding for findings in found for finding in findings] == []


# Put together here, so that this file passes its own check.
@pytest.mark.parametrize(
    "text",
    [
        "https://" + "mirror.example/simple/",
        "  via https://" + "files.example.org/packages/ab/cd/x.whl",
        "--index-url" + " https://index.example",
        "--find-links" + " /wheels",
        "/home" + "/ada/project",
        '"/workspace' + '/src"',
        "file:/" + "//Users" + "/ada/x",
        "C:" + "\\Users\\ada",
    ],
)
def test_telltale_is_found(text: str) -> None:
    assert len(telltales("a.txt", text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "https://keepachangelog.com/en/1.1.0/",
        "https://example.org/workspace/of-mine",
        "the /workspace endpoint of http://127.0.0.1:8080/v1",
        "--no-emit-index-url --no-emit-find-links --quiet",
        "~/workspace/here or $HOME/opt/bin",
    ],
)
def test_ordinary_text_is_allowed(text: str) -> None:
    assert telltales("a.txt", text) == []
