"""A module of the engine imports from lower floors only, so that no circle can form."""

from tests.house.source import ENGINE, Source, broken, imports, sources

# A new module takes the lowest floor that its imports allow.
FLOORS = (
    {
        "agenda",
        "averages",
        "chance",
        "choice",
        "default_tree",
        "displaying",
        "downtime",
        "fingerprint",
        "latencies",
        "permits",
        "reason",
        "tempo",
        "throttling",
        "timing",
        "untrusted",
    },
    {"hedge", "outcome", "provider_health", "shared_use"},
    {"concurrency", "errors", "events", "faults", "limits", "retry", "tally"},
    {"feature", "meter", "providers", "statistics", "tree"},
    {"state"},
    {"recovery", "request"},
    {"interruption", "model"},
    {"accounts", "deactivation", "ledger", "member", "membership"},
    {"selection", "till", "urn"},
    {"adaptive", "affinity", "costs", "preferring", "rotation", "sampling", "scored"},
    {"evidence", "headroom", "lanes"},
    {"decision", "lease", "roster"},
    {"inquiry", "observing", "rationing", "rotator", "steps"},
    {"blueprint", "patience", "timetable"},
    {"pool_members"},
    {"pooling"},
    {"pool"},
    {"topology"},
    {"assessor", "last_resort", "routes"},
    {"desk"},
    {"foresight"},
    {"steering"},
    {"replica"},
    {"router"},
    {"persistence"},
    {"call"},
    {"__init__"},
)
FLOOR = {module: floor for floor, modules in enumerate(FLOORS) for module in modules}
PROJECT = {
    "capability_router",
    "integrations",
    "langchain_capability_router",
    "litellm_capability_router",
    "tests",
}


def imports_from_above(source: Source) -> list[str]:
    own = FLOOR.get(source.module)
    if own is None:
        return [source.at(1, "is on no floor: give it one in FLOORS, as low as its imports allow")]
    found: list[str] = []
    for line, name in imports(source.tree):
        top, *inside = name.split(".")
        if top and top not in PROJECT:
            continue
        other = FLOOR.get(inside[1]) if inside[:1] == ["engine"] and inside[1:] else None
        if other is None:
            found.append(source.at(line, f"{name} is not a module of the engine"))
        elif other >= own:
            found.append(source.at(line, f"floor {own} imports {name} of floor {other}"))
    return found


def test_engine_modules_import_from_lower_floors_only() -> None:
    assert sources(ENGINE)
    assert broken(imports_from_above, ENGINE) == []


def test_no_module_stands_on_two_floors() -> None:
    assert len(FLOOR) == sum(map(len, FLOORS))


def test_import_of_the_same_floor_or_a_higher_one_is_found() -> None:
    text = "import math\nfrom capability_router.engine.pool import CapabilityPool\n"
    for module in ("tree", "pool"):
        (finding,) = imports_from_above(Source(f"{ENGINE}/{module}.py", text))
        assert f"{ENGINE}/{module}.py:2: floor" in finding


def test_lower_floors_may_be_imported() -> None:
    text = "import math\nfrom capability_router.engine import tree\n"
    assert imports_from_above(Source(f"{ENGINE}/pool.py", text)) == []


def test_import_of_the_rest_of_the_project_is_found_even_inside_a_function() -> None:
    for name in ("capability_router.config", "capability_router", "litellm_capability_router"):
        text = f"def late() -> None:\n    import {name}\n"
        (finding,) = imports_from_above(Source(f"{ENGINE}/router.py", text))
        assert "is not a module of the engine" in finding


def test_relative_import_is_found() -> None:
    assert imports_from_above(Source(f"{ENGINE}/router.py", "from .tree import CapabilityTree\n"))


def test_module_that_is_on_no_floor_is_found() -> None:
    (finding,) = imports_from_above(Source(f"{ENGINE}/helpers.py", ""))
    assert "is on no floor" in finding
