"""The parts of the plugin that need no running proxy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import litellm
import pytest

from capability_router import (
    CapabilityRouter,
    CompletionRequest,
    ConfigurationError,
    FailureKind,
    Model,
    Outcome,
    RotationPolicy,
    StickUntilFailure,
    strategy,
)
from capability_router.testing import ManualClock
from litellm_capability_router import attach
from litellm_capability_router.proxy_configuration import VARIABLE, configured_router
from litellm_capability_router.proxy_names import announce, listed_names
from litellm_capability_router.proxy_views import decisions_view, health_view, pools_view

POOLS = "pools: {chats: {hierarchy_node: chat-completion}}\n"


def listed(*ids: str, **info: Any) -> list[dict[str, Any]]:
    info = {"capabilities": ["chat-completion"], **info}
    params = {"model": "openai/tiny", "api_key": "k"}
    return [
        {"model_name": f"group-{id_}", "litellm_params": params, "model_info": {"id": id_, **info}}
        for id_ in ids
    ]


def test_environment_names_a_file_where_the_proxys_own_says_nothing(tmp_path: Path) -> None:
    file = tmp_path / "router.yaml"
    file.write_text(POOLS)
    router = configured_router({}, None, {VARIABLE: str(file)})
    assert [pool.name for pool in router.pools] == ["chats"]


def test_without_any_configuration_pools_are_implicit() -> None:
    router = configured_router({"model_list": listed("one")}, None, {})
    assert (router.pools, router.models) == ([], [])


def test_section_goes_before_the_environment(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(POOLS)
    config = {"capability_router": "own.yaml"}
    router = configured_router(config, str(tmp_path / "config.yaml"), {VARIABLE: "no-such-file"})
    assert [pool.name for pool in router.pools] == ["chats"]


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"capability_router": {"pools": {}}}, "capability_router: write the path"),
        ({"capability_router": "no-such.yaml"}, "no-such.yaml: cannot be read"),
        (
            {"model_list": listed("one", capabilities=["chat-complet"])},
            r"model_list\[0\].model_info.capabilities: unknown.*nearest: .*chat-completion",
        ),
        (
            {"model_list": listed("one") + listed("two", capabilities=["text-generation"])},
            r"model_list\[1\].model_info.capabilities: .*is no leaf",
        ),
        ({"model_list": listed("one", features=["visoin"])}, "model_list: deployment 'one'"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(config: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        configured_router(config, None, {})


def test_deployments_and_their_providers_may_be_named_in_pools(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        """\
model_list: [!anything {model_name: x}]
capability_router:
  pools:
    chats:
      hierarchy_node: chat-completion
      model_priority: [two, three]
      provider_priority: [openai, opena]
"""
    )
    config = {"model_list": listed("one", "two"), "capability_router": {"pools": {}}}
    with pytest.raises(ConfigurationError) as caught:
        configured_router(config, str(file), {})
    assert [(each.line, each.column, each.key_path) for each in caught.value.problems] == [
        (6, 29, "capability_router.pools.chats.model_priority[1]"),
        (7, 35, "capability_router.pools.chats.provider_priority[1]"),
    ]
    assert caught.value.problems[1].nearest == "openai"


def test_router_owns_up_to_what_is_registered_later() -> None:
    host: Any = litellm.Router(model_list=listed("one"))
    router = CapabilityRouter()
    attachment = attach(host, router)
    announce(attachment)
    assert host.get_model_names() == ["group-one", "chat-completion"]
    assert not host.is_recognized_model("no-such-name")
    assert host.is_recognized_model("group-one")
    router.register(Model("other/m", ("ocr",)))
    assert host.get_model_names() == ["group-one", "chat-completion", "ocr"]
    assert host.is_recognized_model("generation")


def test_leaf_that_is_named_like_a_foreign_group_is_listed_by_its_path() -> None:
    own = [{**listed("one", capabilities=[])[0], "model_name": "ocr"}]
    router = CapabilityRouter()
    router.register(Model("a/m", ("ocr",)))
    path = router.tree.resolve("ocr").path
    assert listed_names(attach(litellm.Router(model_list=own), router)) == [path]


def test_ambiguous_name_is_the_callers_fault_and_told_with_its_paths() -> None:
    router = CapabilityRouter()
    for parent in ("one", "two"):
        for path, node in (("", parent), (parent, "middle"), (f"{parent}.middle", "twin")):
            router.tree.add_node(path, node)
    router.register(Model("a/m", ("one.middle.twin",)))
    host: Any = litellm.Router(model_list=[])
    attachment = attach(host, router)
    assert listed_names(attachment) == ["one.middle.twin"]
    with pytest.raises(litellm.BadRequestError, match=r"use one of: one\.middle\.twin"):
        host.completion(model="twin", messages=[])


def test_views_tell_who_rests_since_when_and_until_when() -> None:
    clock = ManualClock()
    router = CapabilityRouter(clock=clock, policy=RotationPolicy(selection=StickUntilFailure))
    for name in ("one", "two"):
        router.register(Model(f"a/{name}", ("ocr",)))
    lease = router.select(CompletionRequest("ocr"))
    clock.advance(1.5)
    router.report(lease, Outcome.failed(FailureKind.RATE_LIMITED, status=429, retry_after_s=20))
    router.deactivate("a/two")
    clock.advance(2.25)
    [pool] = pools_view(router)
    assert (pool["strategy"], pool["active"], pool["requests"]) == ("stick-until-failure", [], 1)
    rest = {"for_s": 2.25, "on_trial": False}
    limited = {"reason": "rate_limited", "returns_in_s": 17.75, **rest}
    manual = {"reason": "manual", "returns_in_s": None, **rest}
    assert pool["standby"] == [{"model": "a/one", **limited}, {"model": "a/two", **manual}]
    one, two = health_view(router)
    assert (one["state"], one["failures"], one["in_flight"]) == ("standby", 1, 0)
    assert one["standby"] == [{"pool": pool["name"], **limited}]
    assert two["standby"] == [{"pool": pool["name"], **manual}]


@pytest.mark.parametrize("name", ["adaptive", "least-in-flight", "rate-limit-aware", "weighted"])
def test_strategies_are_told_by_their_names(name: str) -> None:
    router = CapabilityRouter(policy=RotationPolicy(selection=strategy(name)))
    router.register(Model("a/m", ("ocr",)))
    assert [pool["strategy"] for pool in pools_view(router)] == [name]


def test_decisions_are_the_newest_first_with_their_age() -> None:
    clock = ManualClock()
    router = CapabilityRouter(clock=clock)
    router.register(Model("a/m", ("ocr", "summarization")))
    for capability in ("ocr", "summarization", "ocr"):
        router.call(capability, lambda model: model.id)
        clock.advance(10)
    views = decisions_view(router, 2)
    assert [(view["ago_s"], view["capability"]) for view in views] == [
        (10.0, "ocr"),
        (20.0, "summarization"),
    ]
    assert len(decisions_view(router, 5)) == 3
