import logging
import os
from pathlib import Path

import litellm
import pytest

from capability_router import CapabilityRouter, Catalogue, UnknownCapabilityError
from capability_router.catalogue.vendors import VENDORS, Vendor
from capability_router.testing import ManualClock
from tests.catalogue.maps import Rows, catalogue_of

KEY = "sk-canary-1"


def chat(vendor: str, usd: float | None = None, **fields: object) -> dict[str, object]:
    price = {} if usd is None else {"input_cost_per_token": usd / 1e6}
    return {"litellm_provider": vendor, "mode": "chat", **price, **fields}


ROWS: Rows = {
    "dear": chat("openai", 5),
    "cheap": chat("openai", 1),
    "gift": chat("openai", 0),
    "unpriced": chat("openai"),
    "old": chat("openai", 1, deprecation_date="2025-12-31"),
    "groq/llama": chat("groq", 2),
    "reader": {"litellm_provider": "openai", "mode": "ocr", "ocr_cost_per_page": 0.001},
    "eu.claude": chat("bedrock_converse", 3),
    "us.claude": chat("bedrock_converse", 3),
    "global.claude": chat("bedrock_converse", 3),
    "claude": chat("bedrock_converse", 3),
    "azure/gpt": chat("azure", 3),
}
AWS = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": KEY, "AWS_REGION": "eu-west-1"}


@pytest.fixture(name="catalogue")
def small_catalogue(tmp_path: Path) -> Catalogue:
    return catalogue_of(tmp_path, ROWS)


def built(catalogue: Catalogue, environ: dict[str, str], **filters: object) -> CapabilityRouter:
    return CapabilityRouter.from_environment(
        environ=environ,
        catalogue=catalogue,
        clock=ManualClock(),
        **filters,  # type: ignore[arg-type] # the tests pass what they mean
    )


def ids(router: CapabilityRouter) -> list[str]:
    return [model.id for model in router.models]


def told(router: CapabilityRouter) -> str:
    return str(router.inventory)


def test_models_of_vendors_with_a_key_are_registered_the_cheapest_first(
    catalogue: Catalogue,
) -> None:
    router = built(catalogue, {"OPENAI_API_KEY": KEY, "GROQ_API_KEY": KEY})
    assert ids(router) == [
        "openai/cheap",
        "openai/reader",
        "groq/llama",
        "openai/dear",
        "openai/gift",
        "openai/unpriced",
    ]
    assert router.call("summarization", lambda model: model.id) == "openai/cheap"
    assert router.call("ocr", lambda model: model.id) == "openai/reader"


def test_what_was_found_and_skipped_is_told_without_the_key(
    catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "capability_router.catalogue.environment"):
        router = built(catalogue, {"OPENAI_API_KEY": KEY})
    assert told(router) == ("openai (OPENAI_API_KEY): 5 models; skipped 1 withdrawn by the vendor")
    (record,) = caplog.records
    assert told(router) in record.getMessage()
    inventory = router.inventory
    assert inventory is not None
    assert inventory.model_count == 5
    for shown in (caplog.text, repr(inventory), repr(router.providers), repr(router)):
        assert KEY not in shown


def test_the_key_goes_to_the_vendors_provider(catalogue: Catalogue) -> None:
    router = built(catalogue, {"GROQ_API_KEY": KEY})
    provider = router.provider("groq")
    assert provider.api_key is not None
    assert (provider.vendor, provider.base_url, provider.api_key.reveal()) == ("groq", None, KEY)


def test_an_address_in_the_environment_goes_with_the_key(catalogue: Catalogue) -> None:
    environ = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}
    provider = built(catalogue, environ).provider("openai")
    assert (provider.vendor, provider.base_url) == ("openai", "http://127.0.0.1:1/v1")


def test_an_empty_environment_is_told_with_the_remedy(catalogue: Catalogue) -> None:
    router = built(catalogue, {"OPENAI_API_KEY": ""})
    assert ids(router) == []
    assert told(router).startswith("no provider's key is in the environment: set one")


def test_half_a_credential_registers_nothing_and_says_what_is_missing(
    catalogue: Catalogue,
) -> None:
    router = built(catalogue, {"AWS_ACCESS_KEY_ID": KEY, "AWS_REGION": "eu-west-1"})
    assert ids(router) == []
    assert told(router) == (
        "bedrock (AWS_ACCESS_KEY_ID): AWS_SECRET_ACCESS_KEY or AWS_PROFILE missing, so it is not"
        " used"
    )
    assert router.providers == []


def test_a_region_alone_is_no_credential(catalogue: Catalogue) -> None:
    assert told(built(catalogue, {"AWS_REGION": "eu-west-1"})).startswith("no provider's key")


def test_inference_profiles_of_other_regions_are_skipped(catalogue: Catalogue) -> None:
    router = built(catalogue, AWS)
    assert ids(router) == ["bedrock/claude", "bedrock/eu.claude", "bedrock/global.claude"]
    assert told(router).endswith("3 models; skipped 1 for other regions")


def test_names_of_ones_own_are_not_guessed(catalogue: Catalogue) -> None:
    environ = {"AZURE_API_KEY": KEY, "AZURE_API_BASE": "x", "AZURE_API_VERSION": "1"}
    router = built(catalogue, {**environ, "OLLAMA_API_BASE": "http://127.0.0.1:2"})
    assert ids(router) == []
    assert "declare them in YAML" in told(router)
    assert "ask it with discover()" in told(router)
    assert router.provider("ollama").base_url == "http://127.0.0.1:2"


def test_a_vendor_that_the_catalogue_lacks_is_told(catalogue: Catalogue) -> None:
    router = built(catalogue, {"OPENROUTER_API_KEY": KEY})
    assert told(router).startswith("openrouter (OPENROUTER_API_KEY): 0 models; the catalogue has")


def test_filters_leave_models_out_and_say_how_many(catalogue: Catalogue) -> None:
    environ = {"OPENAI_API_KEY": KEY, "GROQ_API_KEY": KEY}
    router = built(
        catalogue, environ, capabilities=["text-generation"], max_price=2, vendors=["openai"]
    )
    assert ids(router) == ["openai/cheap", "openai/gift"]
    assert told(router) == (
        "openai (OPENAI_API_KEY): 2 models; skipped 1 dearer than 2 US dollars, 1 of unknown"
        " price, 1 withdrawn by the vendor, 1 without these capabilities"
    )


def test_what_does_not_exist_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(ValueError, match="unknown vendor 'opnai' for the environment; nearest: op"):
        built(catalogue, {}, vendors=["opnai"])
    with pytest.raises(UnknownCapabilityError, match="ocr"):
        built(catalogue, {}, capabilities=["ocrr"])


def test_hidden_models_are_left_out(catalogue: Catalogue, tmp_path: Path) -> None:
    overlay = tmp_path / "ours.yaml"
    overlay.write_text("models: {openai/cheap: {capabilities: []}}")
    router = built(catalogue.overlaid(overlay), {"OPENAI_API_KEY": KEY})
    assert "openai/cheap" not in ids(router)


def test_a_router_that_was_built_otherwise_has_no_inventory() -> None:
    assert CapabilityRouter().inventory is None


def test_the_environment_and_the_installed_map_are_the_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in set(os.environ) & _variables():
        monkeypatch.delenv(variable)
    monkeypatch.setenv("MISTRAL_API_KEY", KEY)
    router = CapabilityRouter.from_environment(clock=ManualClock())
    assert {model.provider for model in router.models} == {"mistral"}
    assert len(router.models) > 20


def _variables() -> set[str]:
    groups = [g for v in VENDORS.values() for g in (*v.credentials, *v.settings, v.base_urls)]
    return {name for group in groups for name in group}


# litellm.validate_environment knows nothing of these.
UNCHECKED = {"jina_ai", "sambanova", "azure_ai"}


@pytest.mark.parametrize("vendor", [v for v in VENDORS.values() if v.id not in UNCHECKED])
def test_the_variables_are_those_that_litellm_asks_for(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in set(os.environ) & _variables():
        monkeypatch.delenv(variable)
    model = f"{vendor.id}/some-model"
    before = litellm.validate_environment(model)
    assert before["keys_in_environment"] is False
    assert before["missing_keys"]
    environ = {group[0]: "set" for group in vendor.credentials}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert litellm.validate_environment(model)["keys_in_environment"] is True
    assert vendor.missing({**environ, **{group[0]: "set" for group in vendor.settings}}) == ()
    for name in environ:
        monkeypatch.delenv(name)
        assert litellm.validate_environment(model)["keys_in_environment"] is False, name
        monkeypatch.setenv(name, "set")


def test_every_vendor_is_one_that_litellm_reaches() -> None:
    assert VENDORS.keys() <= {str(provider.value) for provider in litellm.LlmProviders}
