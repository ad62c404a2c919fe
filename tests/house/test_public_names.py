"""What users may import changes only on purpose, and type checkers see the same."""

from importlib import import_module
from pathlib import Path

from tests.house.public_names import PACKAGES, SNAPSHOT, exported, render


def stub_faults(package: str, stub: str) -> list[str]:
    """Tell where a stub and the package it describes disagree."""
    module = import_module(package)
    homes = exported(stub)
    return [
        *(f"{name} is not in the stub" for name in sorted(set(module.__all__) - set(homes))),
        *(f"{name} is only in the stub" for name in sorted(set(homes) - set(module.__all__))),
        *(
            f"{name} is not the one of {home}"
            for name, home in homes.items()
            if name in module.__all__
            and getattr(module, name) is not getattr(import_module(home), name, None)
        ),
    ]


def test_public_names_are_those_of_the_snapshot() -> None:
    assert render() == SNAPSHOT.read_text(encoding="utf-8"), (
        "the public names changed; if that is meant: .venv/bin/python tests/house/public_names.py"
    )


def test_every_public_name_can_be_imported() -> None:
    for line in SNAPSHOT.read_text(encoding="utf-8").split():
        module, _, name = line.rpartition(".")
        assert hasattr(import_module(module), name), line


def test_stubs_export_the_same_objects_as_their_packages() -> None:
    for package in PACKAGES:
        stub = Path(str(import_module(package).__file__)).with_suffix(".pyi")
        if stub.exists():
            assert stub_faults(package, stub.read_text(encoding="utf-8")) == []


def test_stub_that_disagrees_is_found() -> None:
    stub = "from math import ceil as ceil, floor as floor\nfrom cmath import sqrt as dumps\n"
    faults = stub_faults("json", stub + "from pickle import loads as loads\n")
    assert "dump is not in the stub" in faults
    assert "ceil is only in the stub" in faults
    assert "loads is not the one of pickle" in faults
