import os
import subprocess
import sys
from pathlib import Path

import pytest

from capability_router import Catalogue, Price, Unit
from capability_router.catalogue import price_map
from tests.catalogue.maps import CHAT, catalogue_of


@pytest.mark.parametrize(
    ("name", "vendor", "own"),
    [
        ("gpt-4o", "openai", "gpt-4o"),
        ("groq/llama-3", "groq", "llama-3"),
        ("fireworks_ai/accounts/x", "fireworks_ai", "accounts/x"),
        ("amazon-nova/nova-micro-v1", "amazon_nova", "nova-micro-v1"),
    ],
)
def test_a_model_has_the_name_that_its_vendor_has_for_it(
    name: str, vendor: str, own: str, tmp_path: Path
) -> None:
    entry = catalogue_of(tmp_path, {name: {**CHAT, "litellm_provider": vendor}})[name]
    assert (entry.vendor, entry.model_name) == (vendor, own)


@pytest.mark.parametrize(
    ("filed", "vendor"),
    [
        ("bedrock_converse", "bedrock"),
        ("cohere_chat", "cohere"),
        ("vertex_ai-llama_models", "vertex_ai"),
        ("text-completion-openai", "openai"),
        ("text-completion-codestral", "text-completion-codestral"),
    ],
)
def test_a_vendor_has_one_name_however_its_models_are_filed(filed: str, vendor: str) -> None:
    assert price_map.canonical_vendor(filed) == vendor


def test_numbers_are_in_the_units_of_this_project(tmp_path: Path) -> None:
    row = {**CHAT, "rpm": 30, "tpm": 4000, "max_output_tokens": 50, "output_vector_size": 3}
    entry = catalogue_of(tmp_path, {"m": row})["m"]
    assert entry.price == Price(0.15, 0.6)
    assert (entry.context_window, entry.max_output_tokens, entry.dimensions) == (1000, 50, 3)
    assert [(limit.unit, limit.amount, limit.window_s) for limit in entry.limits] == [
        (Unit.REQUESTS, 30, 60.0),
        (Unit.TOKENS, 4000, 60.0),
    ]


@pytest.mark.parametrize(
    ("fields", "window"),
    [
        ({"max_input_tokens": 10, "max_tokens": 5}, 10),
        ({"max_tokens": 5}, 5),
        ({"max_tokens": 5, "max_output_tokens": 5}, None),
        ({"max_input_tokens": 0}, None),
    ],
)
def test_the_context_window_is_never_that_of_the_answer(
    fields: dict[str, object], window: int | None, tmp_path: Path
) -> None:
    row: dict[str, object] = {"litellm_provider": "openai", "mode": "chat", **fields}
    assert catalogue_of(tmp_path, {"m": row})["m"].context_window == window


@pytest.mark.parametrize(
    ("fields", "units", "usd"),
    [
        ({"ocr_cost_per_page": 0.002}, {"page": 0.002}, 2.0),
        ({"input_cost_per_token": 0, "output_cost_per_image": 0.04}, {"image": 0.04}, 40.0),
        ({"input_cost_per_character": 1.5e-05}, {"character": 1.5e-05}, 15.0),
        ({"input_cost_per_second": 1e-4, "output_cost_per_second": 2e-4}, {"second": 2e-4}, 0.2),
        ({"input_cost_per_pixel": 2e-08}, {"megapixel": 0.02}, 20.0),
        ({}, {}, None),
    ],
)
def test_a_model_that_is_not_sold_by_the_token_has_a_price_by_its_unit(
    fields: dict[str, object], units: dict[str, float], usd: float | None, tmp_path: Path
) -> None:
    row: dict[str, object] = {"litellm_provider": "mistral", "mode": "ocr", **fields}
    entry = catalogue_of(tmp_path, {"m": row})["m"]
    assert (entry.price, entry.unit_prices) == (None, units)
    assert entry.usd == (None if usd is None else pytest.approx(usd))


@pytest.mark.parametrize(
    ("name", "row", "reason"),
    [
        ("m", [], "no JSON object"),
        ("m", {**CHAT, "litellm_provider": None}, "no vendor"),
        ("m", {**CHAT, "mode": 3}, "no mode"),
        ("m", {"alias_of": "gpt-4o"}, "another name for 'gpt-4o'"),
        ("m", {**CHAT, "mode": "teleport"}, "'teleport'"),
        ("m", {**CHAT, "max_input_tokens": "many"}, "max_input_tokens 'many'"),
        ("m", {**CHAT, "max_input_tokens": True}, "max_input_tokens True"),
        ("m", {**CHAT, "input_cost_per_token": -1}, "input_cost_per_token -1"),
        ("m", {**CHAT, "output_cost_per_token": float("nan")}, "output_cost_per_token nan"),
        ("m", {**CHAT, "deprecation_date": "soon"}, "deprecation_date 'soon'"),
        ("m", {**CHAT, "deprecation_date": 20260101}, "deprecation_date 20260101"),
        ("m", {**CHAT, "supported_endpoints": ["/v1/responses"]}, "/v1/responses only"),
        ("ft:gpt-4o", CHAT, "tuned"),
        ("azure/eu/gpt-4o", CHAT, "one region"),
        ("bedrock/us-east-1/m", CHAT, "one region"),
        ("bedrock/*/1-month-commitment/m", CHAT, "reserved"),
        ("hd/1024-x-1024/dall-e-3", CHAT, "one size"),
    ],
)
def test_an_entry_that_is_no_model_does_no_harm_and_says_why(
    name: str, row: object, reason: str, tmp_path: Path
) -> None:
    catalogue = catalogue_of(tmp_path, {name: row, "good": CHAT})
    assert list(catalogue) == ["good"]
    assert reason in catalogue.unmapped[name]


def test_of_a_model_that_stands_twice_the_entry_with_its_vendor_stays(tmp_path: Path) -> None:
    catalogue = catalogue_of(tmp_path, {"m": CHAT, "openai/m": CHAT})
    assert list(catalogue) == ["openai/m"]
    assert catalogue.unmapped == {"m": "it is the same model as 'openai/m'"}


@pytest.mark.parametrize(("text", "reason"), [("{", "no JSON"), ("[]", "JSON object")])
def test_a_file_that_is_no_price_map_is_refused_by_its_name(
    text: str, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "map.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=reason) as caught:
        Catalogue.from_litellm(path)
    assert str(path) in str(caught.value)


def test_a_file_is_read_once_until_it_changes(tmp_path: Path) -> None:
    first = catalogue_of(tmp_path, {"m": CHAT})
    assert Catalogue.from_litellm(tmp_path / "map.json") is first
    assert list(catalogue_of(tmp_path, {"other": CHAT})) == ["other"]


def test_without_litellm_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_map, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'capability-router\[litellm\]'"):
        Catalogue.from_litellm()


def test_litellm_is_not_imported_for_its_map() -> None:
    script = (
        "from capability_router import Catalogue; import sys; print(len(Catalogue.from_litellm()));"
        "print({'litellm', 'httpx', 'pydantic', 'yaml'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ
    )
    number, loaded = done.stdout.splitlines()
    assert int(number) > 1000
    assert loaded == "set()"


@pytest.mark.parametrize(
    ("fields", "streams"), [({}, True), ({"supports_native_streaming": False}, False)]
)
def test_a_chat_model_streams_unless_the_map_denies_it(
    fields: dict[str, object], streams: bool, tmp_path: Path
) -> None:
    entry = catalogue_of(tmp_path, {"m": {**CHAT, **fields}})["m"]
    assert ("streaming" in entry.features) is streams


@pytest.mark.parametrize(
    ("name", "mode", "leaf"),
    [
        ("meta/Llama-Guard-4", "chat", "toxicity-detection"),
        ("allenai/olmOCR-7B", "chat", "document-parsing"),
        ("gemini-2.5-pro-preview-tts", "chat", "text-to-speech"),
        ("vertex_ai/lyria-002", "audio_speech", "music-generation"),
        ("stability/remove-background", "image_edit", "background-removal"),
        ("stability/creative", "image_edit", "upscaling"),
        ("stability/erase", "image_edit", "inpainting"),
        ("stability/sketch", "image_edit", "image-to-image"),
        ("fal_ai/gpt-image-2/edit", "image_generation", "image-to-image"),
        ("fal_ai/seedance/image-to-video", "video_generation", "image-to-video"),
        ("dashscope/wan2.7-i2v", "video_generation", "image-to-video"),
    ],
)
def test_a_name_tells_a_model_apart_from_others_of_its_mode(
    name: str, mode: str, leaf: str, tmp_path: Path
) -> None:
    (entry,) = catalogue_of(tmp_path, {name: {**CHAT, "mode": mode}}).values()
    assert [path.rpartition(".")[2] for path in entry.capabilities] == [leaf]


def test_a_model_of_the_responses_endpoint_is_offered_for_chats(tmp_path: Path) -> None:
    row = {**CHAT, "mode": "responses", "supported_endpoints": ["/v1/responses"]}
    entry = catalogue_of(tmp_path, {"m": row})["m"]
    assert "generation.text-generation.chat-completion" in entry.capabilities
