"""The lock pins all that pyproject.toml asks for, each by hash; `make lock` renews it."""

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.source import ROOT

PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)


def pins(lock: str) -> dict[str, tuple[str, int]]:
    """Return version and number of hashes of each package in a lock."""
    return {
        canonicalize_name(name): (version, rest.count("--hash=sha256:"))
        for name, version, rest in PIN.findall(lock)
    }


def lock_faults(wanted: list[str], lock: str) -> list[str]:
    pinned = pins(lock)
    found = [f"{name} has no hash" for name, (_, hashes) in pinned.items() if not hashes]
    for requirement in map(Requirement, wanted):
        version, _ = pinned.get(canonicalize_name(requirement.name), (None, 0))
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            found.append(f"{requirement} is pinned at {version}")
    return found


def declared() -> list[str]:
    """Return every requirement of pyproject.toml but the project's own extras."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = table["project"]
    lists: list[list[str]] = [
        table["build-system"]["requires"],
        project["dependencies"],
        *project["optional-dependencies"].values(),
        *table["dependency-groups"].values(),
    ]
    return [text for texts in lists for text in texts if not text.startswith(project["name"])]


def test_lock_pins_all_that_is_declared() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert lock_faults(declared(), lock) == []


def test_missing_stale_and_unhashed_pins_are_found() -> None:
    lock = "pluggy==1.7.0 \\\n    --hash=sha256:ab\nrich==13.0.0\n    # via pytest\n"
    assert lock_faults(["pluggy>=1", "rich>=14", "typer"], lock) == [
        "rich has no hash",
        "rich>=14 is pinned at 13.0.0",
        "typer is pinned at None",
    ]
