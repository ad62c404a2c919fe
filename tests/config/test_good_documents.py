from pathlib import Path

import pytest

from capability_router.config import Blueprint, load, loads
from capability_router.engine.deactivation import ConsecutiveFailures
from capability_router.engine.faults import FAULT_TABLE, FaultRule, Health
from capability_router.engine.feature import Feature
from capability_router.engine.membership import PoolPreferences
from capability_router.engine.model import Model, Price
from capability_router.engine.outcome import FailureKind
from capability_router.engine.recovery import Cooldown
from capability_router.engine.retry import RetryPolicy
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.selection import Priority, RoundRobin, StickUntilFailure
from capability_router.engine.tree import CapabilityTree

CHAT = "generation.text-generation.chat-completion"

WHOLE = """\
providers:
  openai: {api_key: "${env:OPENAI_API_KEY}"}
  local:  {base_url: http://127.0.0.1:8080/v1, vendor: openai}
  groq:   # the key is left to the client library
models:
  openai/gpt-4o-mini:
    capabilities: [chat-completion, pii-detection]
    features: [streaming, tool_calling]
  local/smollm2:
    capabilities: [chat]
    features: [streaming]
    context_window: 2048
    price: {input: 0, output: 0.5}
  groq/meta-llama/llama-3.1-8b: {capabilities: [haiku]}
tree:
  compliance: [pii-detection]
  generation: {text-generation: [haiku]}
aliases: {chat: chat-completion}
pools:
  text:
    hierarchy_node: text-generation
    allowed_providers: [openai, local]
    excluded_providers: []
    model_priority: [openai/gpt-4o-mini]
    provider_priority: [openai]
    strategy: priority
    deactivation: {consecutive_failures: 4}
    recovery:
      cooldown: 5s
      max_cooldown: 12s
      slow_max_cooldown: 1m30s
      multiplier: 3
      jitter: 0.1
      forget_after: 20s
    retry: {max_attempts: 3, deadline: 60s, attempt_timeout: 30s, backoff: 20ms}
  plain: {hierarchy_node: compliance}
faults:
  content_policy: {next_model: true}
  overloaded: {health: model}
"""


@pytest.fixture(name="plan")
def whole_plan() -> Blueprint:
    return loads(WHOLE, environ={"OPENAI_API_KEY": "sk-1"})


def test_providers_keep_their_order_address_and_key(plan: Blueprint) -> None:
    openai, local, groq = plan.providers
    assert openai.api_key is not None
    assert (openai.id, openai.vendor, openai.api_key.reveal()) == ("openai", "openai", "sk-1")
    assert (local.vendor, local.base_url, local.api_key) == (
        "openai",
        "http://127.0.0.1:8080/v1",
        None,
    )
    assert (groq.id, groq.vendor) == ("groq", "groq")


def test_a_server_with_an_address_and_no_vendor_speaks_openai() -> None:
    (provider,) = loads("providers: {local: {base_url: http://127.0.0.1/v1}}").providers
    assert provider.vendor == "openai"


def test_models_stand_at_full_paths(plan: Blueprint) -> None:
    assert plan.models == (
        Model(
            "openai/gpt-4o-mini",
            (CHAT, "compliance.pii-detection"),
            features=frozenset({Feature.STREAMING, Feature.TOOL_CALLING}),
        ),
        Model(
            "local/smollm2",
            (CHAT,),
            features=frozenset({Feature.STREAMING}),
            context_window=2048,
            price=Price(0.0, 0.5),
        ),
        Model("groq/meta-llama/llama-3.1-8b", ("generation.text-generation.haiku",)),
    )


def test_features_that_are_declared_empty_differ_from_none_declared() -> None:
    text = "providers: {a: }\nmodels: {a/m: {capabilities: [ocr], features: []}}"
    assert loads(text).models[0].features == frozenset()


def test_the_tree_is_the_default_one_with_what_was_added(plan: Blueprint) -> None:
    added = {node.path for node in plan.tree} - {node.path for node in CapabilityTree()}
    assert added == {"compliance", "compliance.pii-detection", "generation.text-generation.haiku"}
    assert plan.tree.resolve("chat").path == CHAT


def test_every_setting_of_a_pool_reaches_its_policy(plan: Blueprint) -> None:
    pool = plan.pools[0]
    assert (pool.name, pool.hierarchy_node) == ("text", "generation.text-generation")
    assert pool.preferences == PoolPreferences(
        allowed_providers=("openai", "local"),
        model_priority=("openai/gpt-4o-mini",),
        provider_priority=("openai",),
    )
    assert pool.policy == RotationPolicy(
        deactivation=ConsecutiveFailures(4),
        recovery=Cooldown(5.0, 12.0, 90.0, 3.0, 0.1, 20.0),
        selection=Priority,
        retry=RetryPolicy(3, 60.0, 30.0, 0.02),
    )


def test_what_is_not_given_is_left_to_the_engine(plan: Blueprint) -> None:
    assert plan.pools[1].policy == RotationPolicy()
    assert plan.pools[1].preferences == PoolPreferences()


def test_one_setting_leaves_the_others_of_its_section_alone() -> None:
    text = "pools: {p: {hierarchy_node: ocr, recovery: {jitter: 0}, retry: {max_attempts: 2}}}"
    policy = loads(text).pools[0].policy
    assert (policy.recovery, policy.retry) == (Cooldown(jitter=0), RetryPolicy(max_attempts=2))


def test_only_the_given_cells_of_the_fault_table_change(plan: Blueprint) -> None:
    changed = {kind: rule for kind, rule in plan.faults.items() if rule != FAULT_TABLE[kind]}
    assert changed == {
        FailureKind.CONTENT_POLICY: FaultRule(Health.UNTOUCHED, next_model=True),
        FailureKind.OVERLOADED: FaultRule(Health.MODEL, repeat_if_alone=True),
    }


@pytest.mark.parametrize(
    ("name", "strategy"),
    [
        ("priority", Priority),
        ("round-robin", RoundRobin),
        ("stick-until-failure", StickUntilFailure),
    ],
)
def test_a_strategy_is_found_by_its_name(name: str, strategy: type) -> None:
    (pool,) = loads(f"pools: {{p: {{hierarchy_node: ocr, strategy: {name}}}}}").pools
    assert pool.policy.selection is strategy


def test_an_import_path_is_followed_where_that_is_allowed() -> None:
    path = "capability_router.engine.selection:RoundRobin"
    text = f"allow_imports: true\npools: {{p: {{hierarchy_node: ocr, strategy: '{path}'}}}}"
    assert loads(text).pools[0].policy.selection is RoundRobin


def test_sections_may_be_empty() -> None:
    text = (
        "providers:\nmodels:\ntree:\naliases:\npools:\n  p:\n    hierarchy_node: ocr\n    retry:\n"
    )
    assert loads(text + "faults:\n").pools[0].policy == RotationPolicy()


def test_a_node_that_exists_may_be_named_again() -> None:
    tree = loads("tree: {generation: {text-generation: [chat-completion]}}").tree
    assert tree.to_mapping() == CapabilityTree().to_mapping()


def test_a_list_at_the_top_of_the_tree_adds_categories() -> None:
    assert "compliance" in loads("tree: [compliance]").tree


@pytest.mark.parametrize("name", ["on", "off", "yes", "no", "1:30", "0o17", "017", "0x1F", "1_0"])
def test_text_that_yaml_1_1_would_change_stays_text(name: str) -> None:
    (provider,) = loads(f"providers: {{a: {{vendor: {name}}}}}").providers
    assert provider.vendor == name


def test_a_date_stays_text() -> None:
    (provider,) = loads("providers: {a: {vendor: 2024-01-02}}").providers
    assert provider.vendor == "2024-01-02"


def test_anchors_and_aliases_share_settings_between_pools() -> None:
    text = """
pools:
  a: {hierarchy_node: ocr, retry: &patient {max_attempts: 7}}
  b: {hierarchy_node: search, retry: *patient}
"""
    assert [pool.policy.retry.max_attempts for pool in loads(text).pools] == [7, 7]


def test_the_environment_fills_in_any_part_of_a_text() -> None:
    text = "providers: {a: {base_url: 'http://${env:HOST}:${env:PORT}/v1'}}"
    (provider,) = loads(text, environ={"HOST": "localhost", "PORT": "80"}).providers
    assert provider.base_url == "http://localhost:80/v1"


def test_what_comes_from_the_environment_is_not_expanded_again() -> None:
    (provider,) = loads(
        "providers: {a: {vendor: '${env:A}'}}", environ={"A": "${env:B}", "B": "x"}
    ).providers
    assert provider.vendor == "${env:B}"


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_VENDOR", "groq")
    assert loads("providers: {a: {vendor: '${env:SOME_VENDOR}'}}").providers[0].vendor == "groq"


def test_a_file_is_read_as_utf_8_with_or_without_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "router.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + WHOLE.encode())
    assert (
        load(path, environ={"OPENAI_API_KEY": "k"}).models
        == load(str(path), environ={"OPENAI_API_KEY": "k"}).models
    )
    assert len(load(path, environ={"OPENAI_API_KEY": "k"}).pools) == 2
