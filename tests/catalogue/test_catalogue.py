from pathlib import Path

import pytest

from capability_router import (
    CapabilityTree,
    Catalogue,
    CatalogueEntry,
    ConfigurationError,
    Feature,
    Limit,
    Model,
    Price,
    Unit,
    UnknownCapabilityError,
    UnknownModelError,
)
from tests.catalogue.maps import Rows, catalogue_of

CHAT = "generation.text-generation.chat-completion"
OCR = "understanding.vision-understanding.ocr"

ROWS: Rows = {
    "small": {
        "litellm_provider": "openai",
        "mode": "chat",
        "input_cost_per_token": 1e-07,
        "output_cost_per_token": 4e-07,
        "max_input_tokens": 1000,
        "supports_vision": True,
    },
    "groq/large": {
        "litellm_provider": "groq",
        "mode": "chat",
        "input_cost_per_token": 3e-06,
        "output_cost_per_token": 1e-06,
        "deprecation_date": "2026-06-01",
    },
    "groq/unpriced": {"litellm_provider": "groq", "mode": "chat"},
    "mistral/reader": {"litellm_provider": "mistral", "mode": "ocr", "ocr_cost_per_page": 0.002},
}


@pytest.fixture(name="catalogue")
def four_models(tmp_path: Path) -> Catalogue:
    return catalogue_of(tmp_path, ROWS)


def written(folder: Path, text: str) -> Path:
    path = folder / "ours.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def names(entries: list[CatalogueEntry]) -> list[str]:
    return [entry.name for entry in entries]


def test_a_model_is_found_by_its_key_and_by_vendor_and_name(catalogue: Catalogue) -> None:
    assert catalogue["small"] is catalogue["openai/small"]
    assert catalogue.find("openai", "small") is catalogue["small"]
    assert "openai/small" in catalogue
    assert "small" in catalogue
    assert "openai/other" not in catalogue
    assert len(catalogue) == len(list(catalogue)) == 4


def test_an_unknown_model_is_told_with_those_that_resemble_it(catalogue: Catalogue) -> None:
    with pytest.raises(UnknownModelError, match="nearest: groq/large"):
        catalogue["groq/larg"]
    with pytest.raises(UnknownModelError, match="nearest: small"):
        catalogue["smal"]
    assert catalogue.get("groq/larg") is None


def test_a_catalogue_shows_how_much_it_holds(catalogue: Catalogue) -> None:
    assert repr(catalogue) == "Catalogue(4 models of 3 vendors)"
    assert catalogue.vendors == ["groq", "mistral", "openai"]


def test_models_are_selected_the_cheapest_first_and_the_unpriced_last(
    catalogue: Catalogue,
) -> None:
    assert names(catalogue.select("text-generation")) == ["small", "groq/large", "groq/unpriced"]
    assert names(catalogue.select()) == ["small", "mistral/reader", "groq/large", "groq/unpriced"]


def test_a_price_limit_holds_for_input_and_for_output(catalogue: Catalogue) -> None:
    assert names(catalogue.select("chat-completion", max_price=0.4)) == ["small"]
    assert names(catalogue.select("chat-completion", max_price=0.3)) == []
    assert names(catalogue.select("chat-completion", max_price=2.9)) == ["small"]
    assert names(catalogue.select("chat-completion", max_price=3)) == ["small", "groq/large"]


def test_a_price_limit_holds_for_a_thousand_pages(catalogue: Catalogue) -> None:
    assert names(catalogue.select("ocr", max_price=2)) == ["mistral/reader"]
    assert names(catalogue.select("ocr", max_price=1.9)) == []


def test_models_are_selected_by_feature_and_vendor(catalogue: Catalogue) -> None:
    assert names(catalogue.select("chat-completion", features=["vision"])) == ["small"]
    assert names(catalogue.select("ocr", features={Feature.VISION})) == ["mistral/reader"]
    assert names(catalogue.select(vendors=["groq"])) == ["groq/large", "groq/unpriced"]


def test_what_is_asked_for_and_does_not_exist_is_an_error(catalogue: Catalogue) -> None:
    with pytest.raises(UnknownCapabilityError, match="ocr"):
        catalogue.select("ocrr")
    with pytest.raises(ValueError, match="unknown feature 'visoin'; nearest: vision"):
        catalogue.select(features=["visoin"])
    with pytest.raises(ValueError, match="unknown vendor 'grok'; nearest: groq"):
        catalogue.select(vendors=["grok"])


def test_capabilities_are_looked_up_in_a_tree_of_ones_own(catalogue: Catalogue) -> None:
    tree = CapabilityTree()
    tree.add_alias("reading", "ocr")
    assert names(catalogue.select("reading", tree=tree)) == ["mistral/reader"]


def test_an_entry_becomes_a_model_of_any_provider(catalogue: Catalogue) -> None:
    entry = catalogue["groq/large"]
    assert entry.model().id == "groq/large"
    assert entry.model("groq-eu") == Model(
        "groq-eu/large",
        entry.capabilities,
        features=frozenset({"streaming"}),
        price=Price(3, 1),
        deprecated_at=1_780_272_000.0,
    )


def test_limits_of_the_map_are_registered_only_where_they_are_asked_for() -> None:
    limits = (Limit(Unit.REQUESTS, 15, 60.0),)
    entry = CatalogueEntry(
        name="a/b", vendor="a", model_name="b", capabilities=(CHAT,), limits=limits
    )
    assert entry.model().limits == ()
    assert entry.model(limits=entry.limits).limits == limits


def test_an_entry_is_deprecated_from_its_last_day_on(catalogue: Catalogue) -> None:
    entry = catalogue["groq/large"]
    assert not entry.is_deprecated(1_780_271_999.0)
    assert entry.is_deprecated(1_780_272_000.0)
    assert not catalogue["small"].is_deprecated(4e9)


def test_an_overlay_changes_what_it_states_and_nothing_else(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    path = written(
        tmp_path,
        "models:\n  openai/small: {price: {input: 9, output: 8}, limits: {requests: 5/minute}}\n",
    )
    before, after = catalogue["small"], catalogue.overlaid(path)["small"]
    assert after.price == Price(9, 8)
    assert after.limits == (Limit(Unit.REQUESTS, 5, 60.0),)
    assert (after.name, after.capabilities, after.features, after.context_window) == (
        before.name,
        before.capabilities,
        before.features,
        before.context_window,
    )
    assert catalogue["small"] is before


def test_an_overlay_adds_a_model(catalogue: Catalogue, tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "models:\n  groq/team/own: {capabilities: [ocr], features: [vision], vector_space: x}\n",
    )
    entry = catalogue.overlaid(path)["groq/team/own"]
    assert (entry.vendor, entry.model_name, entry.capabilities) == ("groq", "team/own", (OCR,))
    assert (entry.features, entry.vector_space) == (frozenset({"vision"}), "x")


def test_an_overlay_hides_a_model_without_leaves(catalogue: Catalogue, tmp_path: Path) -> None:
    hiding = catalogue.overlaid(written(tmp_path, "models: {groq/large: {capabilities: []}}"))
    assert names(hiding.select("chat-completion")) == ["small", "groq/unpriced"]
    with pytest.raises(ValueError, match="capabilities"):
        hiding["groq/large"].model()


def test_an_overlay_keeps_what_the_source_does_not_map(tmp_path: Path) -> None:
    catalogue = catalogue_of(tmp_path, {**ROWS, "ft:small": {}})
    after = catalogue.overlaid(written(tmp_path, "models: {openai/small: }"))
    assert after.unmapped == catalogue.unmapped != {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("modles: {}", "ours.yaml:1:1: modles: unknown key 'modles'"),
        (
            "models: {groq/lrge: {price: {input: 1, output: 1}}}",
            "ours.yaml:1:10: models.'groq/lrge': the catalogue does not have this model, so",
        ),
        ("models: {groq/lrge: {capabilities: []}}", "did you mean 'groq/large'?"),
        ("models: {large: {capabilities: [ocr]}}", "a model is named vendor/name"),
        (
            "models: {groq/large: {capabilities: [ocrr]}}",
            "ours.yaml:1:38: models.'groq/large'.capabilities[0]: no node has this name: 'ocrr'",
        ),
        ("models: {groq/large: {context_window: 0}}", "must be above 0, found the number 0"),
        ("models: {groq/large: {contxt: 1}}", "did you mean 'context_window'?"),
    ],
)
def test_a_wrong_overlay_is_told_with_its_place(
    text: str, told: str, catalogue: Catalogue, tmp_path: Path
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        catalogue.overlaid(path)
    assert told in str(caught.value)
    assert str(path) in str(caught.value)


def test_an_overlay_that_is_not_there_is_told_by_its_name(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.yaml: cannot be read: no such file"):
        catalogue.overlaid(tmp_path / "none.yaml")
