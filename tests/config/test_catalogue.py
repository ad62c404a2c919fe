"""Models of a configuration that leave to the catalogue what they can do."""

from pathlib import Path

import pytest

from capability_router import CapabilityRouter, Catalogue, ConfigurationError, Price
from capability_router.catalogue import price_map
from capability_router.config import load, loads

LEFT_OUT = "providers: {openai: }\nmodels: {openai/gpt-4o-mini: }\n"


@pytest.fixture(name="without_litellm")
def litellm_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_map, "find_spec", lambda name: None)


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_model_without_capabilities_has_all_from_the_catalogue() -> None:
    (model,) = loads(LEFT_OUT).models
    known = Catalogue.from_litellm()["openai/gpt-4o-mini"]
    assert model == known.model("openai")
    assert (model.id, model.name) == ("openai/gpt-4o-mini", "gpt-4o-mini")
    assert len(model.capabilities) > 5
    assert model.price is not None


def test_what_is_stated_wins_over_the_catalogue() -> None:
    text = LEFT_OUT.replace(
        "openai/gpt-4o-mini:",
        "openai/gpt-4o-mini: {price: {input: 7, output: 8}, features: [], context_window: 5,"
        " limits: {usd: 1/day}}",
    )
    (model,) = loads(text).models
    assert (model.price, model.features, model.context_window) == (Price(7, 8), frozenset(), 5)
    assert len(model.limits) == 1
    assert model.capabilities == Catalogue.from_litellm()["openai/gpt-4o-mini"].capabilities


def test_a_budget_is_counted_by_the_price_of_the_catalogue() -> None:
    text = LEFT_OUT.replace("mini:", "mini: {quota: {usd: 5/day}}")
    (model,) = loads(text).models
    assert (model.price, len(model.limits)) == (
        Catalogue.from_litellm()["openai/gpt-4o-mini"].price,
        1,
    )


def test_a_budget_without_a_price_in_the_catalogue_is_refused() -> None:
    text = "providers: {mistral: }\nmodels: {mistral/mistral-ocr-latest: {quota: {usd: 5/day}}}"
    with pytest.raises(ConfigurationError, match="money is counted by the model's price"):
        loads(text)


def test_a_model_that_states_its_capabilities_takes_nothing_from_the_catalogue() -> None:
    (model,) = loads(LEFT_OUT.replace("mini:", "mini: {capabilities: [ocr]}")).models
    assert (model.features, model.price, model.context_window) == (None, None, None)


def test_models_are_looked_up_by_the_vendor_of_their_provider() -> None:
    text = """\
providers:
  eu: {vendor: mistral}
  server: {base_url: "http://127.0.0.1:1/v1"}
models: {eu/mistral-large-latest: , server/gpt-4o-mini: }
"""
    known = Catalogue.from_litellm()
    assert loads(text).models == (
        known["mistral/mistral-large-latest"].model("eu"),
        known["openai/gpt-4o-mini"].model("server"),
    )


def test_overlays_lie_over_it_in_their_order_beside_the_file(tmp_path: Path) -> None:
    written(
        tmp_path, "a/one.yaml", "models: {openai/gpt-4o-mini: {context_window: 1, dimensions: 1}}"
    )
    written(tmp_path, "a/two.yaml", "models: {openai/gpt-4o-mini: {context_window: 2}}")
    path = written(
        tmp_path, "a/router.yaml", f"catalogue: [litellm, one.yaml, two.yaml]\n{LEFT_OUT}"
    )
    (model,) = load(path).models
    assert (model.context_window, model.dimensions) == (2, 1)


def test_one_overlay_needs_no_list(tmp_path: Path) -> None:
    written(tmp_path, "own.yaml", "models: {openai/own: {capabilities: [ocr]}}")
    text = "catalogue: own.yaml\nproviders: {openai: }\nmodels: {openai/own: }"
    (model,) = load(written(tmp_path, "router.yaml", text)).models
    assert model.capabilities == ("understanding.vision-understanding.ocr",)


def test_mistakes_of_an_overlay_are_told_after_those_of_the_file(tmp_path: Path) -> None:
    own = written(tmp_path, "own.yaml", "models: {openai/own: {capabilities: [ocrr]}}")
    path = written(tmp_path, "router.yaml", f"catalogue: own.yaml\npools: 3\n{LEFT_OUT}")
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert [(problem.file, problem.line) for problem in caught.value.problems] == [
        (str(path), 2),
        (str(own), 1),
    ]


def test_a_hidden_model_states_its_capabilities_or_is_refused(tmp_path: Path) -> None:
    written(tmp_path, "own.yaml", "models: {openai/gpt-4o-mini: {capabilities: []}}")
    path = written(tmp_path, "router.yaml", f"catalogue: own.yaml\n{LEFT_OUT}")
    with pytest.raises(ConfigurationError, match="the catalogue has it at no leaf; state its"):
        load(path)


@pytest.mark.usefixtures("without_litellm")
def test_without_litellm_a_file_that_states_everything_is_read() -> None:
    (model,) = loads(LEFT_OUT.replace("mini:", "mini: {capabilities: [ocr]}")).models
    assert model.id == "openai/gpt-4o-mini"


@pytest.mark.usefixtures("without_litellm")
def test_without_litellm_the_first_model_that_needs_it_is_told_with_the_remedy() -> None:
    with pytest.raises(ConfigurationError) as caught:
        loads(LEFT_OUT)
    (problem,) = caught.value.problems
    assert (problem.line, problem.key_path) == (2, "models.'openai/gpt-4o-mini'")
    assert "pip install 'capability-router[litellm]'" in problem.message


def test_a_router_serves_what_the_catalogue_says(tmp_path: Path) -> None:
    router = CapabilityRouter.from_yaml(written(tmp_path, "router.yaml", LEFT_OUT))
    assert router.call("translation", lambda model: model.id) == "openai/gpt-4o-mini"
