"""What is shipped: three typed packages, and nothing of the workshop."""

import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.house.source import ROOT

PACKAGES = {"capability_router", "langchain_capability_router", "litellm_capability_router"}
# What is no Python, and read when it is used.
SCRIPTS = tuple(
    f"capability_router/storage/{part}.lua" for part in ("fields", "limits", "exchange")
)
METADATA = "capability_router-"


def built(target: str, into: Path) -> Path:
    """Build one artefact out of the working tree and return its path."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(into)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (artefact,) = into.iterdir()
    return artefact


def wheel_faults(names: list[str]) -> list[str]:
    tops = {name.partition("/")[0] for name in names}
    packages = {top for top in tops if not top.startswith(METADATA)}
    return [
        *(f"{top} does not belong in the wheel" for top in sorted(packages - PACKAGES)),
        *(f"{package} is missing" for package in sorted(PACKAGES - packages)),
        *(
            f"{package} is not typed"
            for package in sorted(PACKAGES & packages)
            if f"{package}/py.typed" not in names
        ),
        *(f"{name} is missing" for name in SCRIPTS if name not in names),
        *(f"{name} is a test" for name in names if "/tests/" in name or "/test_" in name),
    ]


def sdist_faults(names: list[str]) -> list[str]:
    inside = [name.partition("/")[2] for name in names]
    return [
        *(f"{name} is a lock" for name in inside if name.endswith(".lock")),
        *(f"{name} belongs to the workshop" for name in inside if name.startswith("tests/")),
        *(f"{name} is missing" for name in ("LICENSE", "README.md") if name not in inside),
    ]


def test_wheel_holds_three_typed_packages_and_nothing_else(tmp_path: Path) -> None:
    with ZipFile(built("wheel", tmp_path)) as wheel:
        assert wheel_faults(wheel.namelist()) == []


def test_source_distribution_holds_no_locks_and_no_tests(tmp_path: Path) -> None:
    with tarfile.open(built("sdist", tmp_path)) as sdist:
        assert sdist_faults(sdist.getnames()) == []


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        (["integrations/x.py"], "integrations does not belong in the wheel"),
        (["tests/test_a.py"], "tests does not belong in the wheel"),
        (["capability_router/__init__.py"], "capability_router is not typed"),
        (["capability_router/py.typed"], "litellm_capability_router is missing"),
        (["capability_router/py.typed"], "capability_router/storage/exchange.lua is missing"),
        (["capability_router/tests/x.py"], "capability_router/tests/x.py is a test"),
    ],
)
def test_wheel_that_is_wrong_is_found(names: list[str], fault: str) -> None:
    assert fault in wheel_faults([*names, "capability_router-0.1.0.dist-info/METADATA"])


def test_source_distribution_that_is_wrong_is_found() -> None:
    assert sdist_faults(["c-0.1.0/requirements.lock", "c-0.1.0/LICENSE", "c-0.1.0/README.md"]) == [
        "requirements.lock is a lock"
    ]
    assert "LICENSE is missing" in sdist_faults(["c-0.1.0/tests/a.py"])
