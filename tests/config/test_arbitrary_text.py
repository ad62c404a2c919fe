"""Whatever stands in a file: it is read, or refused with places; no secret comes out."""

import copy
import re
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from capability_router.config import Blueprint, loads
from capability_router.config.reading import read
from capability_router.config.references import References
from capability_router.config.schema import RouterConfig
from capability_router.engine.errors import ConfigurationError

CANARY = "sk-canary-4f1d"
ENVIRON = {"KEY": CANARY, "HOST": "127.0.0.1"}

GOOD = """\
providers:
  openai: {api_key: "${env:KEY}", base_url: "http://${env:HOST}/v1"}
  local: {vendor: openai, limits: {requests: 30/minute}, quota: {usd: [5/day, 100]}}
models:
  openai/gpt: {capabilities: [chat, haiku], features: [streaming], price: {input: 1, output: 2.5}}
  local/smol:
    capabilities: [ocr]
    context_window: 2048
    limits: {tokens: [6000/minute, 100/90s]}
    quota: {requests: 1000/day, resets: "00:00 America/Los_Angeles"}
    deprecated_on: 2026-12-31
    vector_space: small
    dimensions: 384
tree:
  compliance: [pii-detection]
  generation: {text-generation: [haiku]}
aliases: {chat: chat-completion}
pools:
  text:
    hierarchy_node: generation
    allowed_providers: [openai]
    model_priority: [openai/gpt]
    strategy:
      name: priority
      fallback: {name: weighted, weights: {openai/gpt: 3, local: 1}, slow_start: 30s}
    deactivation:
      consecutive_failures: 3
      error_rate: 0.5
      of_last: 20
      slow: {factor: 3}
      provider_outage: {models: 2}
      maintenance: [{cron: "0 3 * * SUN", duration: 2h, zone: UTC, models: [local/smol]}]
    recovery: {cooldown: 5s, jitter: 0.2, quota_resets: {every: month, at: "07:30", day: 1}}
    retry: {max_attempts: 3, deadline: 60s, backoff: fixed, wait_for: [slow], budget: {share: 1}}
    degrade: [siblings]
faults: {overloaded: {health: model}}
allow_imports: false
"""
VALUES: Any = yaml.safe_load(GOOD)


def outcome(text: str) -> Blueprint | ConfigurationError:
    try:
        return loads(text, environ=ENVIRON)
    except ConfigurationError as error:
        return error


def check(text: str) -> None:
    found = outcome(text)
    assert "canary" not in f"{found} {found!r}" or "canary" in text
    if isinstance(found, Blueprint):
        return
    lines = len(re.findall("[\n\r\x85\u2028\u2029]", text)) + 1
    for problem in found.problems:
        assert problem.message
        assert "cannot be used here" not in problem.message
        assert 1 <= problem.line <= lines
        assert problem.column >= 1
    places = [(problem.line, problem.column) for problem in found.problems]
    assert places == sorted(places)


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value)
    below = [
        path
        for step, inner in steps
        for path in (paths(inner, (*at, step)) if isinstance(inner, dict | list) else [(*at, step)])
    ]
    return [at, *below] if at else below


def changed(path: tuple[Any, ...], value: object) -> str:
    document = copy.deepcopy(VALUES)
    *above, last = path
    section = document
    for step in above:
        section = section[step]
    section[last] = value
    return yaml.safe_dump(document, sort_keys=False)


ANY_VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["openai", "0s", "5s", "priority", "a:b", "${env:KEY}", "${env:NO}", "ocr"])
    | st.sampled_from(["off", "1/day", "5/mnth", "0 3 * * *", "00:00", "2026-02-30", "siblings"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def test_the_document_that_is_changed_below_is_good() -> None:
    assert isinstance(outcome(GOOD), Blueprint)
    assert isinstance(outcome(yaml.safe_dump(VALUES)), Blueprint)


@given(st.text())
@example('"\\UFFFFFFFF"')
@example("%YAML 1." + "9" * 5000)
@example("&a &b c")
@example("? [a]\n: b")
@example("a: 1\x85b: 2")
@example("\ufeffpools: {}")
def test_any_text_is_read_or_refused(text: str) -> None:
    check(text)


@given(st.text(alphabet="ab:-[]{}&*!|>'\"%@#,? \n\t<~$19.\\xuU", max_size=40))
def test_any_text_of_the_signs_of_yaml_is_read_or_refused(text: str) -> None:
    check(text)


@given(
    st.integers(0, len(GOOD)),
    st.integers(0, 30),
    st.text(max_size=4) | st.text(alphabet="{}[]:,&*!'\"\n -", max_size=4),
)
def test_a_good_document_with_a_piece_replaced_is_read_or_refused(
    start: int, length: int, piece: str
) -> None:
    check(GOOD[:start] + piece + GOOD[start + length :])


@given(st.sampled_from(paths(VALUES)), ANY_VALUE)
def test_a_good_document_with_a_value_replaced_is_read_or_refused(
    path: tuple[Any, ...], value: object
) -> None:
    check(changed(path, value))


@given(
    st.sampled_from(paths(VALUES["providers"])),
    st.sampled_from(
        [
            CANARY,
            [CANARY],
            {"api_key": CANARY},
            {CANARY: 1, "x": CANARY},
            f"http://{CANARY}@host/v1",
            f"http://host/v1?key={CANARY}",
            f"x:{CANARY}",
            f"${{env:{CANARY}}}",
            f"{CANARY}${{env:KEY}}",
        ]
    ),
)
def test_a_key_in_the_wrong_place_below_providers_does_not_come_out(
    path: tuple[Any, ...], value: object
) -> None:
    found = outcome(changed(("providers", *path), value))
    assert path[1:] == ("vendor",) or isinstance(found, ConfigurationError)
    assert isinstance(found, Blueprint) or CANARY not in f"{found} {found!r} {found.problems!r}"


def test_a_value_from_the_environment_does_not_come_out_wherever_it_stands() -> None:
    for path in paths(VALUES):
        found = outcome(changed(path, "${env:KEY}"))
        if isinstance(found, ConfigurationError):
            assert "canary" not in f"{found} {found.problems!r} {found.args!r}", path
        else:
            assert path[0] in ("providers", "tree"), path


def test_no_secret_is_in_what_a_configuration_shows_of_itself() -> None:
    plan = loads("providers: {a: {api_key: '${env:KEY}'}}", environ=ENVIRON)
    document = read("providers: {a: {api_key: '${env:KEY}'}}", "x.yaml", References(ENVIRON))
    config = RouterConfig.model_validate(document.root)
    assert plan.providers[0].api_key is not None
    assert plan.providers[0].api_key.reveal() == CANARY
    everything: list[object] = [plan, *plan.providers, document, config, config.model_dump()]
    assert [thing for thing in everything if CANARY in f"{thing} {thing!r}"] == []


def test_nothing_can_be_assigned_to_a_configuration() -> None:
    with pytest.raises(ValueError, match="frozen"):
        RouterConfig().allow_imports = True  # type: ignore[misc]  # that is what is tried
