"""The page about watching says what the code does."""

import subprocess
import sys
from pathlib import Path

from tests.cli.running import written
from tests.docs.snippets import snippets

PAGE = Path(__file__).parents[2] / "docs" / "watching.md"
LOOK = """
from urllib.request import ProxyHandler, build_opener

with build_opener(ProxyHandler({})).open(page.url, timeout=10) as answer:
    print(answer.status)
page.close()
"""


def test_the_example_serves_a_page_of_the_router(tmp_path: Path) -> None:
    written(tmp_path)
    (code,) = (s.code for s in snippets(PAGE.read_text("utf-8")) if s.language == "python")
    done = subprocess.run(
        [sys.executable, "-c", code + LOOK],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    url, status = done.stdout.split()
    assert (done.returncode, done.stderr, status) == (0, "", "200")
    assert url.startswith("http://127.0.0.1:")
