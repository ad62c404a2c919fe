"""From an address to a store."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from capability_router.engine.blueprint import StateSpec
from capability_router.engine.model import Secret
from capability_router.storage.addresses import SCHEMES, check_address, scheme_of
from capability_router.storage.opening import open_store
from tests.storage.sqlite_folder import tell


def at(address: str) -> StateSpec:
    return StateSpec(Secret(address))


def test_in_memory_nothing_is_shared() -> None:
    assert open_store(None) is None
    assert open_store(at("memory://")) is None


def test_a_file_after_four_slashes_is_absolute(tmp_path: Path) -> None:
    store = open_store(at(f"sqlite:///{tmp_path.as_posix()}/state.db"))
    assert store is not None
    with closing(store):
        assert not list(tmp_path.iterdir())
        tell(store, "k")
    assert (tmp_path / "state.db").is_file()


def test_a_file_after_three_slashes_is_in_the_folder_where_the_process_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store(at("sqlite:///my state.db"))
    assert store is not None
    with closing(store):
        tell(store, "k")
    assert (tmp_path / "my state.db").is_file()


def test_a_missing_extra_is_named() -> None:
    # In a process of its own: what this one has imported cannot be missing any more.
    code = (
        "import sys; sys.modules['redis'] = None\n"
        "from capability_router import CapabilityRouter\n"
        "CapabilityRouter(state='redis://:canary@host')"
    )
    failed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    said = failed.stderr.splitlines()[-1]
    assert said.startswith("ImportError")
    assert "capability-router[redis]" in said
    assert "canary" not in said


@pytest.mark.parametrize(
    "address",
    [
        "sqlite://canary",
        "sqlite:///",
        "sqlite:///canary?y=1",
        "memory://canary",
        "redis://",
        "redis://:canary@a b",
    ],
)
def test_what_is_no_address_is_refused_without_showing_it(address: str) -> None:
    with pytest.raises(ValueError, match=r"slashes|file|memory|server|blank") as caught:
        check_address(address)
    assert "canary" not in str(caught.value)


def test_an_address_has_a_scheme() -> None:
    assert scheme_of("redis+cluster://h") == "redis+cluster"
    assert [scheme_of(text) for text in ("", "redis:", "redis", "/x")] == ["", "", "", ""]
    assert len(set(SCHEMES)) == len(SCHEMES)
