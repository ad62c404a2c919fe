import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from capability_router import registry
from capability_router.engine.selection import Priority, RoundRobin

PRIORITY = "capability_router.engine.selection:Priority"


@pytest.fixture(autouse=True)
def own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(registry, "_targets", dict(registry._targets))


def install(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> None:
    """Let entry points of the group of strategies be installed."""

    def entry_points(group: str, name: str | None = None) -> EntryPoints:
        own = "capability_router.strategies"
        found = EntryPoints(EntryPoint(each, value, own) for each, value in points)
        return found.select(group=group) if name is None else found.select(group=group, name=name)

    monkeypatch.setattr(registry, "entry_points", entry_points)


def test_every_built_in_name_can_be_imported() -> None:
    for kind, name in list(registry._targets):
        assert callable(registry.resolve(kind, name))


def test_an_object_is_returned_as_it_is() -> None:
    assert registry.resolve("strategies", Priority) is Priority


def test_an_object_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(ValueError, match="3 names no class or function"):
        registry.resolve("strategies", 3)


def test_a_registered_name_is_imported_on_first_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "lazy_plugin.py").write_text("class Mine: ...\nclass Outer:\n    Inner = Mine\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry.register("strategies", "mine", "lazy_plugin:Mine")
    assert "lazy_plugin" not in sys.modules
    mine = registry.resolve("strategies", "mine")
    assert mine is sys.modules["lazy_plugin"].Mine
    assert registry.resolve("strategies", "lazy_plugin:Outer.Inner") is mine


def test_names_are_listed_without_importing_them() -> None:
    registry.register("strategies", "absent", "no_such_module:X")
    assert registry.names("strategies") == [
        "absent",
        "adaptive",
        "cost-first",
        "latency-first",
        "least-in-flight",
        "load-balanced",
        "priority",
        "rate-limit-aware",
        "round-robin",
        "scored",
        "session-sticky",
        "stick-until-failure",
        "weighted",
    ]
    assert registry.names("stores") == []


def test_a_name_can_be_registered_once() -> None:
    with pytest.raises(ValueError, match=rf"'priority' in strategies.*{PRIORITY}"):
        registry.register("strategies", "priority", "other:Priority")
    registry.register("stores", "priority", PRIORITY)


@pytest.mark.parametrize("name", ["", "a:b"])
def test_a_name_that_could_not_be_told_from_a_path_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="short name"):
        registry.register("strategies", name, PRIORITY)


@pytest.mark.parametrize("target", ["", "module", "module:", ":x", "a b:c", "a:b:c", "a..b:c"])
def test_a_target_is_checked_when_it_is_registered(target: str) -> None:
    with pytest.raises(ValueError, match=r"package\.module:attribute"):
        registry.register("strategies", "mine", target)


def test_an_unknown_name_is_answered_with_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(ValueError, match="'prioritty'") as caught:
        registry.resolve("strategies", "prioritty")
    assert "known: adaptive, cost-first, " in str(caught.value)
    assert "nearest: priority" in str(caught.value)


def test_a_kind_that_nothing_is_registered_for_has_no_names() -> None:
    with pytest.raises(ValueError, match="known: none"):
        registry.resolve("stores", "sqlite")


def test_an_import_path_is_followed() -> None:
    assert registry.resolve("strategies", PRIORITY) is Priority


def test_an_import_path_can_be_forbidden() -> None:
    with pytest.raises(ValueError, match="not allowed here; use a name: adaptive, cost-first"):
        registry.resolve("strategies", PRIORITY, allow_import=False)
    assert registry.resolve("strategies", "priority", allow_import=False) is Priority


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("no_such_module:X", "ModuleNotFoundError"),
        ("capability_router.registry:Absent", "AttributeError"),
        ("a b:c", "malformed"),
        ("os:sep", "names no class or function"),
    ],
)
def test_an_import_path_that_leads_nowhere_is_refused(spec: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        registry.resolve("strategies", spec)
    assert spec in str(caught.value)


def test_whatever_a_module_raises_is_reported_with_its_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "broken_plugin.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="'broken_plugin:X' cannot be imported: ZeroDivision"):
        registry.resolve("strategies", "broken_plugin:X")


def test_a_missing_extra_is_named() -> None:
    registry.register("stores", "redis", "no_such_module:Store", extra="redis")
    with pytest.raises(ImportError, match=r"pip install 'capability-router\[redis\]'") as caught:
        registry.resolve("stores", "redis")
    assert caught.value.name == "no_such_module"


def test_another_distribution_adds_names(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, ("theirs", "capability_router.engine.selection:RoundRobin"))
    assert registry.resolve("strategies", "theirs", allow_import=False) is RoundRobin
    assert "theirs" in registry.names("strategies")


def test_a_registered_name_wins_over_another_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, ("priority", "no_such_module:X"))
    assert registry.resolve("strategies", "priority") is Priority


def test_two_distributions_with_one_name_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, ("theirs", "one:X"), ("theirs", "two:X"))
    with pytest.raises(ValueError, match=r"ambiguous.*one:X.*two:X"):
        registry.resolve("strategies", "theirs")


def test_an_entry_point_that_is_no_path_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, ("theirs", "module"))
    with pytest.raises(ValueError, match="'module' is malformed"):
        registry.resolve("strategies", "theirs")
