"""An audit that did not happen never looks like one that found nothing."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.house.source import ROOT

FINE: dict[str, Any] = {"name": "fine", "version": "1.0", "vulns": []}
SKIPPED = {"name": "absent", "skip_reason": "Dependency not found on PyPI"}
BROKEN = {**FINE, "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": []}]}


def audited(folder: Path, report: list[dict[str, Any]] | None, code: int) -> tuple[int, str]:
    """Run the audit with a stand-in for pip-audit that says and leaves what it is told."""
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/audit", folder / ".ci/audit")
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/python").symlink_to(sys.executable)
    told = None if report is None else json.dumps({"dependencies": report, "fixes": []})
    stand_in = folder / ".venv/bin/pip-audit"
    stand_in.write_text(
        f"#!{sys.executable}\nimport sys\ntold = {told!r}\n"
        "if told is None:\n    print('ConnectionError: no such host', file=sys.stderr)\n"
        "else:\n    open(sys.argv[sys.argv.index('--output') + 1], 'w').write(told)\n"
        f"sys.exit({code})\n"
    )
    stand_in.chmod(0o755)
    done = subprocess.run(
        [folder / ".ci/audit"], capture_output=True, text=True, check=False, timeout=50
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("report", "code", "ends_with", "told"),
    [
        ([FINE], 0, 0, "audited: 1 packages, 0 known vulnerabilities"),
        ([FINE, BROKEN], 1, 1, "fine 1.0: PYSEC-1, mended in 1.1"),
        ([BROKEN, SKIPPED], 1, 1, "absent: not audited"),
        ([FINE, SKIPPED], 0, 75, "absent: not audited: Dependency not found on PyPI"),
        ([], 0, 75, "audited: 0 packages"),
        (None, 1, 75, "not audited: the advisory service is unreachable"),
        (None, 0, 75, "no such host"),
    ],
    ids=["clean", "found", "found beside skipped", "skipped", "nothing", "offline", "silent"],
)
def test_audit_ends_as_it_went(
    tmp_path: Path, report: list[dict[str, Any]] | None, code: int, ends_with: int, told: str
) -> None:
    ended, said = audited(tmp_path, report, code)
    assert ended == ends_with, said
    assert told in said
