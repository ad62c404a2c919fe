"""What is doubtful in a configuration is found, and what is not is left in peace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from capability_router import ConfigurationError, ExpectedLoad, Finding, Severity, lint
from capability_router.linting.finding import RULES

SOUND = """\
providers:
  alpha: {base_url: "http://alpha.example/v1", api_key: "${env:ALPHA_KEY}"}
  beta: {base_url: "http://beta.example/v1", api_key: "${env:BETA_KEY}"}
models:
  alpha/m: {capabilities: [chat-completion], limits: {requests: 60/minute}}
  beta/m: {capabilities: [chat-completion], limits: {requests: 120/minute}}
pools:
  text: {hierarchy_node: text-generation}
"""
KEYS = {"ALPHA_KEY": "sk-alpha", "BETA_KEY": "sk-beta"}


def found(
    folder: Path,
    text: str,
    environ: dict[str, str] | None = None,
    expected: ExpectedLoad | None = None,
) -> list[Finding]:
    file = folder / "router.yaml"
    file.write_text(text)
    return lint(file, environ=KEYS if environ is None else environ, expected=expected)


def changed(*changes: tuple[str, str]) -> str:
    text = SOUND
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def test_a_sound_configuration_has_no_findings(tmp_path: Path) -> None:
    assert found(tmp_path, SOUND) == []


CASES: dict[str, tuple[str, str, str]] = {
    "single-provider": (
        changed(("  beta/m:", "  alpha/n:"), ("  beta: ", "  # beta: ")),
        "pools.text",
        "pool text has no other provider than alpha: when alpha is down, nobody is left",
    ),
    "shared-host": (
        changed(("beta.example", "alpha.example:81")),
        "pools.text",
        "all 2 providers of pool text are at alpha.example",
    ),
    "shared-key": (
        changed(("BETA_KEY", "ALPHA_KEY")),
        "pools.text",
        "all 2 providers of pool text have the same API key",
    ),
    "lone-feature": (
        changed(
            ("60/minute}}", "60/minute}, features: [vision, reasoning]}"),
            ("120/minute}}", "120/minute}, features: [reasoning]}"),
        ),
        "pools.text",
        "in pool text only alpha/m has vision",
    ),
    "lone-window": (
        changed(
            ("60/minute}}", "60/minute}, context_window: 9000}"),
            ("120/minute}}", "120/minute}, context_window: 2048}"),
        ),
        "pools.text",
        "in pool text only alpha/m takes more than 2,048 tokens",
    ),
    "unused-provider": (
        changed(("models:", '  idle: {base_url: "http://idle.example/v1"}\nmodels:')),
        "providers.idle",
        "provider idle has no model",
    ),
    "empty-pool": (
        SOUND + "  code: {hierarchy_node: code-generation}\n",
        "pools.code",
        "pool code has no model: none is at or under generation.text-generation.code-generation",
    ),
    "unreachable-node": (
        SOUND + "tree: {generation: {text-generation: {verse: [haiku]}}}\n",
        "tree.generation.text-generation.verse",
        "no model serves generation.text-generation.verse or anything under it",
    ),
    "unreachable-model": (
        changed(
            ("{hierarchy_node: text", "{excluded_providers: [gamma], hierarchy_node: text"),
            ("models:", '  gamma: {base_url: "http://g.example"}\nmodels:'),
            ("pools:", "  gamma/m: {capabilities: [chat-completion]}\npools:"),
        ),
        "models.'gamma/m'",
        "gamma/m never serves: it is left out by text",
    ),
    "no-pool": (
        changed(
            (
                "[chat-completion], limits: {requests: 60",
                "[chat-completion, ocr], limits: {requests: 60",
            )
        ),
        "models.'alpha/m'",
        "no pool covers understanding.vision-understanding.ocr, so that the defaults hold there",
    ),
    "no-models": (
        "providers: {}\n",
        "models",
        "the file has no model, so that no pool can be judged",
    ),
}


@pytest.mark.parametrize("code", CASES)
def test_a_doubtful_configuration_has_just_this_finding(code: str, tmp_path: Path) -> None:
    text, key_path, message = CASES[code]
    (finding,) = found(tmp_path, text)
    assert (finding.code, finding.severity) == (code, RULES[code].severity)
    assert (finding.key_path, finding.message) == (key_path, message)


def test_a_finding_names_its_place_and_its_remedy(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, CASES["empty-pool"][0])
    line = CASES["empty-pool"][0].splitlines()[finding.line - 1]
    assert line[finding.column - 1 :].startswith("code:")
    assert str(finding) == (
        f"{tmp_path / 'router.yaml'}:9:3: pools.code: error[empty-pool]: {finding.message};"
        " give a model one of the capabilities there, or choose another hierarchy_node"
    )
    assert json.loads(json.dumps(finding.as_dict()))["line"] == 9


def test_a_variable_that_is_not_set_is_a_finding_and_hides_no_other(tmp_path: Path) -> None:
    text = changed(
        ('"http://alpha.example/v1"', '"${env:ALPHA_URL}"'),
        ('"http://beta.example/v1"', '"https://${env:BETA_HOST}/v1"'),
        ("hierarchy_node: text-generation", "hierarchy_node: code-generation"),
    )
    findings = found(tmp_path, text, {"BETA_KEY": "", "ALPHA_KEY": "sk-alpha"})
    unset = [f.message for f in findings if f.code == "unset-variable"]
    assert unset == [
        f"the environment variable {name} is not set, or is empty"
        for name in ("ALPHA_URL", "BETA_HOST", "BETA_KEY")
    ]
    assert {f.code for f in findings} == {"unset-variable", "empty-pool", "no-pool"}


def test_a_vendor_without_its_key_is_found_where_it_is_used(tmp_path: Path) -> None:
    text = changed(("models:", "models:\n  groq/m: {capabilities: [chat-completion]}"))
    (finding,) = found(tmp_path, text)
    assert (finding.code, finding.key_path) == ("unset-variable", "models.'groq/m'")
    assert finding.message == "provider groq has no api_key, and GROQ_API_KEY is not set"
    assert found(tmp_path, text, {**KEYS, "GROQ_API_KEY": "x"}) == []


def test_a_vendor_that_nobody_knows_is_found_without_being_shown(tmp_path: Path) -> None:
    text = changed(
        ('alpha: {base_url: "http://alpha.example/v1"', "alpha: {vendor: grok-sk-123"),
    )
    (finding,) = found(tmp_path, text)
    assert (finding.code, finding.key_path) == ("unknown-vendor", "providers.alpha.vendor")
    assert "sk-123" not in repr(finding)
    (near,) = found(tmp_path, text.replace("grok-sk-123", "mistrall"))
    assert near.remedy == "write vendor: mistral"


def test_no_finding_shows_a_key(tmp_path: Path) -> None:
    findings = found(tmp_path, CASES["shared-key"][0])
    assert findings
    assert "sk-alpha" not in repr(findings)


def test_a_pool_above_counts_as_what_is_left(tmp_path: Path) -> None:
    text = changed(("{hierarchy_node", "{allowed_providers: [alpha], hierarchy_node"))
    assert [f.code for f in found(tmp_path, text)] == ["unreachable-model", "single-provider"]
    assert found(tmp_path, text + "  rest: {hierarchy_node: generation}\n") == []


def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="unknown key 'nodel'"):
        found(tmp_path, SOUND + "nodel: {}\n")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        lint(tmp_path / "absent.yaml")


def test_findings_come_by_severity_and_then_by_place(tmp_path: Path) -> None:
    text = CASES["shared-key"][0] + "  code: {hierarchy_node: code-generation}\n"
    assert [f.code for f in found(tmp_path, text)] == ["empty-pool", "shared-key"]


def test_a_severity_reaches_itself_and_those_below() -> None:
    assert Severity.ERROR.reaches(Severity.NOTE)
    assert Severity.WARNING.reaches(Severity.WARNING)
    assert not Severity.NOTE.reaches(Severity.WARNING)


def test_each_secret_is_fetched_once(tmp_path: Path) -> None:
    asked: list[str] = []

    def fetch(reference: str) -> str:
        asked.append(reference)
        return f"sk-{reference}"

    text = changed(("${env:ALPHA_KEY}", "${vault:alpha}"), ("${env:BETA_KEY}", "${vault:beta}"))
    (tmp_path / "router.yaml").write_text(text)
    assert lint(tmp_path / "router.yaml", environ={}, secrets={"vault": fetch}) == []
    assert sorted(asked) == ["alpha", "beta"]
