"""A configuration runs no code unless it may, and none is too large to be refused."""

import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from capability_router import CapabilityRouter, ConfigurationError
from capability_router.config import load, loads, reading
from capability_router.engine.errors import Problem


def problem_of(text: str, environ: Mapping[str, str] | None = None) -> Problem:
    with pytest.raises(ConfigurationError) as caught:
        loads(text, file="router.yaml", environ=environ or {})
    assert caught.value.__context__ is None
    (problem,) = caught.value.problems
    assert len(str(problem)) < 400
    return problem


BOMB = "a0: &a0 {leaf}\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)

REFUSED = {
    "billion laughs": (BOMB.format(leaf="[ha]"), "more than 100,000 values"),
    "billion long laughs": (BOMB.format(leaf="ha" * 5000), "more than 10,000,000 characters"),
    "anchor that holds itself": ("tree: &a {a: *a}", "more than 100,000 values"),
    "brackets": ("tree: " + "[" * 900_000, "more than 32 levels deep"),
    "braces": ("{" * 900_000, "more than 32 levels deep"),
    "dashes": ("- " * 450_000, "more than 32 levels deep"),
    "stairs": ("\n".join(" " * n + "a:" for n in range(1000)), "more than 32 levels deep"),
    "references": (f"aliases: {{a: '{'${env:KEY}' * 1001}'}}", "more than 1,000 references"),
    "larger than any": ("#" * 1_000_001, "larger than 1,000,000 characters"),
    "version": (f"%YAML {'1' * 5000}.1\n---\npools: {{}}", "no character or number"),
    "character": ('tree: "\\Uffffffff"', "no character or number"),
}


@pytest.mark.parametrize(("text", "told"), [pytest.param(*c, id=n) for n, c in REFUSED.items()])
def test_document_that_is_a_bomb_is_refused(text: str, told: str) -> None:
    assert told in problem_of(text, {"KEY": "k" * 65_536}).message


def test_document_of_too_many_values_is_not_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading, "_MOST_NODES", 1000)
    problem = problem_of(f"pools:\n  p:\n    select: [{'1,' * 400_000}]")
    assert problem.message == "not valid YAML: more than 1,000 keys and values"
    assert problem.line == 3


def test_aliases_do_not_multiply_what_a_reference_stands_for() -> None:
    calls: list[str] = []

    def fetch(reference: str) -> str:
        calls.append(reference)
        return "k" * 65_536

    bomb = BOMB.format(leaf="'${vault:x}'")
    with pytest.raises(ConfigurationError, match="more than 1,000 references"):
        loads(bomb, secrets={"vault": fetch})
    assert len(calls) == 1000


@pytest.mark.parametrize("digits", ["9" * 5000, "0x" + "f" * 5000, "1e" + "9" * 500, "9" * 19])
def test_number_of_unlikely_length_is_a_text(digits: str) -> None:
    text = f"pools: {{p: {{hierarchy_node: ocr, retry: {{max_attempts: {digits}}}}}}}"
    assert "expected a whole number, found the text" in problem_of(text).message


def test_message_has_the_first_hundred_of_many_problems() -> None:
    text = "\n".join(f"key{n}: 1" for n in range(5000))
    with pytest.raises(ConfigurationError) as caught:
        loads(text)
    assert len(caught.value.problems) == 5000
    assert str(caught.value).splitlines()[-1] == "and 4900 more"
    assert len(str(caught.value)) < 30_000


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system ['id']", "!!python/name:os.system", "!x y"]
)
def test_tag_makes_no_object(tag: str) -> None:
    assert "tags are not supported" in problem_of(f"tree: {tag}").message


CODE = """
import sys
ran = sys.modules.setdefault("ran_from_yaml", sys)
def anything(*args, **kwargs): raise AssertionError("ran")
"""
POOL = "{{hierarchy_node: ocr, {setting}}}"
PLUGS = {
    "strategy": POOL.format(setting="strategy: 'from_yaml:anything'"),
    "strategy with a name": POOL.format(setting="strategy: {name: 'from_yaml:anything'}"),
    "fallback": POOL.format(setting="strategy: {name: priority, fallback: 'from_yaml:anything'}"),
    "fallback with a name": POOL.format(
        setting="strategy: {name: priority, fallback: {name: 'from_yaml:anything'}}"
    ),
    "score": POOL.format(setting="strategy: {name: scored, score: 'from_yaml:anything'}"),
    "select": POOL.format(setting="select: 'from_yaml:anything'"),
}


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from which a module can be imported, which would be noticed."""
    (tmp_path / "from_yaml.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "from_yaml", raising=False)
    return tmp_path


@pytest.mark.parametrize("permission", ["", "allow_imports: false\n", "allow_imports: 'true'\n"])
@pytest.mark.parametrize("plug", [pytest.param(text, id=name) for name, text in PLUGS.items()])
def test_nothing_is_imported_that_was_not_allowed(plug: str, permission: str, trap: Path) -> None:
    (trap / "router.yaml").write_text(f"{permission}pools: {{p: {plug}}}\n")
    with pytest.raises(ConfigurationError, match="an import path runs code"):
        load(trap / "router.yaml")
    assert "from_yaml" not in sys.modules


@pytest.mark.parametrize("plug", [pytest.param(text, id=name) for name, text in PLUGS.items()])
def test_trap_is_sprung_where_imports_are_allowed(plug: str, trap: Path) -> None:
    (trap / "router.yaml").write_text(f"allow_imports: true\npools: {{p: {plug}}}\n")
    with suppress(ConfigurationError):
        load(trap / "router.yaml")
    assert "from_yaml" in sys.modules


@pytest.mark.parametrize("permission", ["", "allow_imports: true\n"])
@pytest.mark.parametrize(
    "reference", ["${from_yaml:anything}", "${from_yaml.anything:x}", "${from_yaml:anything:x}"]
)
def test_resolver_of_secrets_is_never_an_import_path(
    reference: str, permission: str, trap: Path
) -> None:
    text = f"{permission}providers: {{a: {{api_key: '{reference}'}}}}\n"
    (trap / "router.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match="api_key"):
        CapabilityRouter.from_yaml(trap / "router.yaml")
    assert "from_yaml" not in sys.modules
