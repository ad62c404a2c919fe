from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from capability_router.calendars import CalendarReset, CronSpans
from capability_router.config import Blueprint, load, loads
from capability_router.engine.deactivation import (
    ErrorThreshold,
    Maintenance,
    ProviderOutage,
    SlowOutlier,
)
from capability_router.engine.faults import FAULT_TABLE, FaultRule, Health
from capability_router.engine.feature import Feature
from capability_router.engine.hedge import Hedge
from capability_router.engine.limits import Limit, Unit
from capability_router.engine.membership import PoolPreferences
from capability_router.engine.model import Model, Price
from capability_router.engine.outcome import FailureKind
from capability_router.engine.reason import Reason
from capability_router.engine.recovery import Cooldown
from capability_router.engine.retry import (
    Backoff,
    Interruption,
    RepeatScope,
    RetryBudget,
    RetryPolicy,
)
from capability_router.engine.rotation import Degrade, RotationPolicy
from capability_router.engine.selection import Priority
from capability_router.engine.throttling import Throttling
from capability_router.engine.tree import CapabilityTree
from tests.config.own import wants_small

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
    deprecated_on: 2026-12-31
    vector_space: Small
    dimensions: 384
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
    select: tests.config.own:wants_small
    strategy: priority
    deactivation:
      consecutive_failures: 4
      error_rate: 0.4
      of_last: 30
      min_requests: 6
      within: 2m
      max_ejected: 0.7
      slow: {factor: 4, min_requests: 11, min_models: 2, interval: 20s, first_token: true}
      provider_outage: {models: 3, share: 0.6}
      throttling: {k: 1.5}
      maintenance:
        - {cron: "0 3 * * SUN", duration: 2h, zone: Europe/Berlin, models: [local/smollm2]}
        - {cron: "0 4 1 * *", duration: 30m, providers: [groq]}
    recovery:
      cooldown: 5s
      max_cooldown: 12s
      slow_max_cooldown: 1m30s
      multiplier: 3
      jitter: 0.1
      forget_after: 20s
      quota_resets: {every: month, at: "07:30", zone: Asia/Kolkata, day: 2}
    retry:
      max_attempts: 3
      deadline: 60s
      attempt_timeout: 30s
      same_model: 4
      scope: first
      backoff: fixed
      base_delay: 20ms
      throttled_delay: 2s
      max_delay: 9s
      max_wait: 5s
      first_token_timeout: 8s
      stall_timeout: 7s
      trial_timeout: 6s
      on_interruption: [continue, restart]
      wait_for: [rate_limited, request_limit]
      budget: {share: 0.3, per_second: 2}
    hedge: {after: 800ms, min_samples: 30}
    limits: {requests: 100/minute}
    quota: {usd: 5/day}
    degrade: [siblings, ancestors]
  plain: {hierarchy_node: compliance}
faults:
  content_policy: {next_model: true}
  overloaded: {health: model}
allow_imports: true
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
            deprecated_at=datetime(2026, 12, 31, tzinfo=UTC).timestamp(),
            vector_space="Small",
            dimensions=384,
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
        select=wants_small,
    )
    assert pool.policy == RotationPolicy(
        deactivation=ErrorThreshold(4, 0.4, 30, 6, 120.0),
        recovery=Cooldown(
            *(5.0, 12.0, 90.0, 3.0, 0.1, 20.0),
            quota_resets=CalendarReset("month", "07:30", "Asia/Kolkata", 2),
        ),
        selection=Priority,
        retry=RetryPolicy(
            *(3, 60.0, 30.0, 4, RepeatScope.FIRST, Backoff.FIXED, 0.02, 2.0, 9.0, 5.0),
            wait_for=frozenset({Reason.RATE_LIMITED, Reason.REQUEST_LIMIT}),
            budget=RetryBudget(0.3, 2.0),
            first_token_timeout_s=8.0,
            stall_timeout_s=7.0,
            trial_timeout_s=6.0,
            on_interruption=(Interruption.CONTINUE, Interruption.RESTART),
        ),
        hedge=Hedge(0.8, min_samples=30),
        max_ejected=0.7,
        slow=SlowOutlier(4.0, 11, 2, 20.0, first_token=True),
        outage=ProviderOutage(3, 0.6),
        maintenance=(
            Maintenance(
                CronSpans("0 3 * * SUN", 7200.0, "Europe/Berlin"), models=("local/smollm2",)
            ),
            Maintenance(CronSpans("0 4 1 * *", 1800.0), providers=("groq",)),
        ),
        limits=(
            Limit(Unit.REQUESTS, 100, 60.0),
            Limit(Unit.USD, 5, resets=CalendarReset("day")),
        ),
        degrade=(Degrade.SIBLINGS, Degrade.ANCESTORS),
        throttling=Throttling(1.5),
    )


@pytest.mark.parametrize(
    ("written", "policy"),
    [
        ("retry: patient", RetryPolicy.patient()),
        (
            "retry: {profile: patient, max_wait: 1s}",
            replace(RetryPolicy.patient(), max_wait_s=1.0),
        ),
        ("retry: {on_interruption: error}", RetryPolicy(on_interruption=(Interruption.ERROR,))),
    ],
)
def test_profile_holds_where_nothing_else_is_said(written: str, policy: RetryPolicy) -> None:
    (pool,) = loads(f"pools: {{text: {{hierarchy_node: chat-completion, {written}}}}}").pools
    assert pool.policy.retry == policy


@pytest.mark.parametrize(
    ("written", "hedge"),
    [
        ("{}", Hedge()),
        ("{after: p95}", Hedge(percentile=0.95)),
        ("{after: p99.5}", Hedge(percentile=0.995)),
        ("{after: 0s}", Hedge(after_s=0.0)),
    ],
)
def test_hedge_starts_after_a_time_or_a_percentile(written: str, hedge: Hedge) -> None:
    (pool,) = loads(f"pools: {{text: {{hierarchy_node: chat-completion, hedge: {written}}}}}").pools
    assert pool.policy.hedge == hedge


def test_what_is_not_given_is_left_to_the_engine(plan: Blueprint) -> None:
    assert plan.pools[1].policy == RotationPolicy()
    assert plan.pools[1].preferences == PoolPreferences()


def test_one_setting_leaves_the_others_of_its_section_alone() -> None:
    text = "pools: {p: {hierarchy_node: ocr, recovery: {jitter: 0}, retry: {max_attempts: 2}}}"
    policy = loads(text).pools[0].policy
    assert (policy.recovery, policy.retry) == (Cooldown(jitter=0), RetryPolicy(max_attempts=2))


def test_the_share_of_failures_can_be_switched_off() -> None:
    text = "pools: {p: {hierarchy_node: ocr, deactivation: {error_rate: off}}}"
    assert loads(text).pools[0].policy.deactivation == ErrorThreshold(rate=None)


def test_what_is_off_by_default_is_switched_on_by_its_section() -> None:
    sections = "{slow: {}, provider_outage: {}, throttling: {}}"
    (pool,) = loads(f"pools: {{p: {{hierarchy_node: ocr, deactivation: {sections}}}}}").pools
    assert (pool.policy.slow, pool.policy.outage) == (SlowOutlier(), ProviderOutage())
    assert pool.policy.throttling == Throttling()


def test_one_value_stands_for_a_list_of_one() -> None:
    text = """
pools:
  p:
    hierarchy_node: ocr
    degrade: ancestors
    deactivation: {maintenance: {cron: 0 3 * * *, duration: 1h}}
"""
    policy = loads(text).pools[0].policy
    assert policy.degrade == (Degrade.ANCESTORS,)
    assert policy.maintenance == (Maintenance(CronSpans("0 3 * * *", 3600.0)),)


@pytest.mark.parametrize(
    ("written", "reset"),
    [
        ("00:00 America/Los_Angeles", CalendarReset("day", "00:00", "America/Los_Angeles")),
        ("07:30", CalendarReset("day", "07:30")),
        ("{every: week, day: 7}", CalendarReset("week", day=7)),
        ("{}", CalendarReset("day")),
    ],
)
def test_a_quota_of_the_provider_resets_by_the_calendar(written: str, reset: CalendarReset) -> None:
    text = f"pools: {{p: {{hierarchy_node: ocr, recovery: {{quota_resets: {written}}}}}}}"
    assert loads(text).pools[0].policy.recovery == Cooldown(quota_resets=reset)


def test_only_the_given_cells_of_the_fault_table_change(plan: Blueprint) -> None:
    changed = {kind: rule for kind, rule in plan.faults.items() if rule != FAULT_TABLE[kind]}
    assert changed == {
        FailureKind.CONTENT_POLICY: FaultRule(Health.UNTOUCHED, next_model=True),
        FailureKind.OVERLOADED: FaultRule(Health.MODEL, repeatable=True),
    }


def test_sections_may_be_empty() -> None:
    text = (
        "providers:\nmodels:\ntree:\naliases:\npools:\n  p:\n    hierarchy_node: ocr\n    retry:\n"
        "    limits:\n    quota:\n    deactivation:\n"
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
