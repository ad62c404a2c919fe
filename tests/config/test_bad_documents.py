"""Each document of the tables has one mistake, and § stands where the message must point."""

import sys
from pathlib import Path

import pytest

from capability_router.config import load, loads
from capability_router.engine.errors import ConfigurationError
from tests.config.bad import Bad, pool, problem_of
from tests.config.bad_connectors import CONNECTORS
from tests.config.bad_limits import LIMITS
from tests.config.bad_names import NAMES
from tests.config.bad_plugins import PLUGINS
from tests.config.bad_settings import SETTINGS
from tests.config.bad_state import STATE
from tests.config.bad_texts import TEXTS

BAD = CONNECTORS | SETTINGS | STATE | NAMES | LIMITS | PLUGINS | TEXTS


@pytest.mark.parametrize("bad", [pytest.param(bad, id=name) for name, bad in BAD.items()])
def test_a_mistake_is_told_with_its_place_and_what_is_allowed(bad: Bad) -> None:
    before = bad.text.partition("§")[0]
    problem = problem_of(bad.text.replace("§", ""))
    found = (problem.file, problem.line, problem.column, problem.key_path, problem.nearest)
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    assert found == ("router.yaml", line, column, bad.key_path, bad.nearest), str(problem)
    assert [part for part in bad.fragments if part not in problem.message] == [], str(problem)


@pytest.mark.parametrize("bad", [pytest.param(bad, id=name) for name, bad in BAD.items()])
def test_a_message_is_plain_and_holds_no_secret(bad: Bad) -> None:
    problem = problem_of(bad.text.replace("§", ""))
    assert not problem.message[0].isupper()
    assert not problem.message.endswith(".")
    assert "canary" not in f"{problem} {problem!r}"
    for jargon in ("Input", "valid string", "dictionary", "instance of", "cannot be used here"):
        assert jargon not in problem.message


def test_every_mistake_is_told_at_once_in_the_order_of_the_file() -> None:
    with pytest.raises(ConfigurationError) as caught:
        loads(
            """\
pools:
  text:
    hierarchy_node: txt-generation
    strategy: {name: prioritty}
    retry: {max_attempts: 0, deadline: 60}
    deactivation: {of_last: 1, maintenance: [{cron: x, duration: 1, models: [a/m]}]}
    limits: {requests: 30}
    model_priority: [openai/gpt]
providers:
  openai: {api_key: sk-1, vendr: x, base_url: "${env:NOT_SET}"}
models:
  grok/llama: {features: [visoin]}
""",
            environ={},
        )
    assert [(problem.line, problem.key_path) for problem in caught.value.problems] == [
        (3, "pools.text.hierarchy_node"),
        (4, "pools.text.strategy.name"),
        (5, "pools.text.retry.max_attempts"),
        (5, "pools.text.retry.deadline"),
        (6, "pools.text.deactivation.of_last"),
        (6, "pools.text.deactivation.maintenance[0].cron"),
        (6, "pools.text.deactivation.maintenance[0].duration"),
        (6, "pools.text.deactivation.maintenance[0].models[0]"),
        (7, "pools.text.limits.requests"),
        (8, "pools.text.model_priority[0]"),
        (10, "providers.openai.api_key"),
        (10, "providers.openai.vendr"),
        (10, "providers.openai.base_url"),
        (12, "models.'grok/llama'"),
        (12, "models.'grok/llama'.features[0]"),
    ]


def test_a_missing_extra_is_named_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cronsim", None)
    maintenance = "{cron: 0 3 * * SUN, duration: 2h}"
    problem = problem_of(pool(f"deactivation: {{maintenance: {maintenance}}}"))
    assert problem.key_path == "pools.text.deactivation.maintenance.cron"
    assert "pip install 'capability-router[schedules]'" in problem.message


def test_every_variable_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        loads("providers: {a: {base_url: 'http://${env:A}:${env:B}'}}", environ={})
    assert ["'A'" in str(caught.value), "'B'" in str(caught.value)] == [True, True]


def test_models_are_not_blamed_for_a_broken_list_of_providers() -> None:
    problem = problem_of("providers: [a]\nmodels: {a/b: {capabilities: [ocr]}}\n")
    assert problem.key_path == "providers"


def test_aliases_that_multiply_are_refused() -> None:
    bomb = "tree:\n  x0: &x0 [a]\n" + "".join(
        f"  x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]\n" for n in range(1, 10)
    )
    assert "100,000 values" in problem_of(bomb).message


def test_a_chain_of_aliases_is_refused_where_it_gets_too_deep() -> None:
    chain = "tree:\n  x0: &x0 [a]\n" + "".join(
        f"  x{n}: &x{n} [*x{n - 1}]\n" for n in range(1, 2000)
    )
    assert "anchors" in problem_of(chain).message


def test_a_text_of_unlikely_size_is_not_parsed() -> None:
    assert "1,000,000 characters" in problem_of("#" * 1_000_001).message


def test_a_long_list_of_what_is_allowed_is_cut() -> None:
    providers = "".join(f"  p{n}: {{}}\n" for n in range(30))
    problem = problem_of(f"providers:\n{providers}models: {{zzz/m: {{capabilities: [ocr]}}}}\n")
    assert problem.message.endswith("p18, p19 and 10 more")


def test_a_long_text_is_cut() -> None:
    problem = problem_of(f"pools: {{a: {{hierarchy_node: {'x' * 5000}}}}}")
    assert len(problem.message) < 300


@pytest.mark.parametrize(
    ("name", "fragment"), [("missing.yaml", "no such file"), ("", "is a directory")]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, fragment: str) -> None:
    with pytest.raises(ConfigurationError, match=fragment) as caught:
        load(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert caught.value.problems[0].file == str(tmp_path / name)


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "router.yaml"
    path.write_bytes(b"pools: \xff")
    with pytest.raises(ConfigurationError, match="byte 7"):
        load(path)


@pytest.mark.parametrize(
    "text", ["providers:\n  a: {api_key: canary}\n", "{providers: {a: {api_key: canary}}}", "a\0b"]
)
def test_text_in_place_of_a_path_does_not_come_out(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(text)
    assert "canary" not in str(caught.value)


def test_problems_in_a_file_carry_its_name(tmp_path: Path) -> None:
    path = tmp_path / "router.yaml"
    path.write_text("pols: {}\n")
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}:1:1: pols: unknown key 'pols'")
