"""What a deployment states of the model that it is, and what the catalogue adds."""

from __future__ import annotations

from typing import Any

import pytest

from capability_router import Catalogue, CatalogueEntry, Limit, Price, Unit
from litellm_capability_router.declarations import ProviderNames, declared_models

CHAT = "generation.text-generation.chat-completion"
KNOWN = Catalogue(
    [
        CatalogueEntry(
            name="gpt-x",
            vendor="openai",
            model_name="gpt-x",
            capabilities=(CHAT,),
            features=frozenset({"vision"}),
            context_window=1000,
            price=Price(2.0, 8.0),
            deprecated_at=5.0,
        ),
        CatalogueEntry(
            name="azure/gpt-x", vendor="azure", model_name="gpt-x", capabilities=("ocr",)
        ),
    ]
)


def deployment(id_: str = "dep", model: str = "openai/gpt-x", **info: Any) -> dict[str, Any]:
    params = info.pop("params", {})
    return {
        "model_name": "group",
        "litellm_params": {"model": model, **params},
        "model_info": {"id": id_, **info},
    }


def test_what_a_deployment_leaves_out_comes_from_the_catalogue() -> None:
    [model] = declared_models([deployment()], KNOWN)
    assert (model.id, model.name, model.provider) == ("dep", "openai/gpt-x", "openai")
    assert (model.capabilities, model.features) == ((CHAT,), frozenset({"vision"}))
    assert (model.context_window, model.price, model.deprecated_at) == (1000, Price(2.0, 8.0), 5.0)


def test_who_states_capabilities_is_not_told_what_it_cannot_do() -> None:
    [model] = declared_models([deployment(capabilities=["summarization"])], KNOWN)
    assert (model.capabilities, model.features, model.deprecated_at) == (
        ("summarization",),
        None,
        None,
    )
    assert model.price == Price(2.0, 8.0)


def test_what_a_deployment_states_goes_before_the_catalogue() -> None:
    params = {"input_cost_per_token": 0.00000015, "output_cost_per_token": 0, "rpm": 30}
    stated = deployment(features=["streaming"], max_input_tokens=77, tpm=900, params=params)
    [model] = declared_models([stated], KNOWN)
    assert model.features == frozenset({"streaming"})
    assert (model.context_window, model.price) == (77, Price(0.15, 0.0))
    assert model.limits == (Limit(Unit.REQUESTS, 30, 60.0), Limit(Unit.TOKENS, 900, 60.0))


@pytest.mark.parametrize(
    ("model", "info", "capability", "provider"),
    [
        ("azure/our-name", {"base_model": "azure/gpt-x"}, "ocr", "azure"),
        ("gpt-x", {}, CHAT, "openai"),
        ("gpt-x", {"params": {"custom_llm_provider": "azure"}}, "ocr", "azure"),
        ("openai/gpt-x", {"provider": "mine"}, CHAT, "mine"),
    ],
)
def test_a_model_is_found_by_what_litellm_calls_it(
    model: str, info: dict[str, Any], capability: str, provider: str
) -> None:
    [found] = declared_models([deployment(model=model, **info)], KNOWN)
    assert (found.capabilities, found.provider) == ((capability,), provider)


@pytest.mark.parametrize(
    "info", [{"capabilities": []}, {"blocked": True}, {"team_id": "seven"}, {"base_model": "none"}]
)
def test_some_deployments_serve_no_capability(info: dict[str, Any]) -> None:
    assert declared_models([deployment(**info)], KNOWN) == []


def test_without_a_catalogue_only_what_is_stated_counts() -> None:
    stated = deployment("stated", capabilities=["ocr"])
    assert [model.id for model in declared_models([deployment(), stated])] == ["stated"]


def test_deployments_with_one_key_and_address_are_one_provider() -> None:
    places: list[dict[str, Any]] = [
        {"api_key": "one"},
        {"api_key": "two"},
        {"api_key": "one"},
        {"api_key": "one", "api_base": "http://127.0.0.1:1/v1"},
    ]
    listed = [deployment(f"dep-{n}", params=place) for n, place in enumerate(places)]
    listed.append(deployment("other", model="azure/gpt-x"))
    providers = [model.provider for model in declared_models(listed, KNOWN)]
    assert providers == ["openai", "openai-2", "openai", "openai-3", "azure"]


@pytest.mark.parametrize(
    ("info", "told"),
    [({"features": ["visoin"]}, "visoin"), ({"capabilities": "ocr"}, "must be a non-empty list")],
)
def test_what_cannot_be_is_told_with_the_deployment(info: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=f"'dep'.*{told}"):
        declared_models([deployment(**info)], KNOWN)


def test_what_is_no_number_is_told_with_the_deployment() -> None:
    with pytest.raises(ValueError, match=r"'dep'.*dear"):
        declared_models([deployment(params={"input_cost_per_token": "dear"})], KNOWN)


def test_provider_keeps_its_name_until_its_last_deployment_has_gone() -> None:
    one, two, three = (deployment(key, params={"api_key": key}) for key in ("one", "two", "three"))
    names = ProviderNames(KNOWN)
    told: list[list[str]] = []
    for listed in ([one, two], [two], [three, two], [three, one]):
        names.follow(listed)
        told.append([names.name(each) for each in listed])
    assert told == [
        ["openai", "openai-2"],
        ["openai-2"],
        ["openai", "openai-2"],
        ["openai", "openai-2"],
    ]


def test_provider_is_not_given_the_name_of_another_vendor() -> None:
    listed = [deployment("vendor", model="openai-2/gpt-x", capabilities=["ocr"])]
    listed += [deployment(key, params={"api_key": key}) for key in ("one", "two")]
    providers = [model.provider for model in declared_models(listed, KNOWN)]
    assert providers == ["openai-2", "openai", "openai-3"]
