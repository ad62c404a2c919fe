"""The price map of the LiteLLM that is installed, entry by entry, against what it says itself."""

from datetime import datetime

import litellm
import pytest

from capability_router import CapabilityTree, Catalogue, Feature
from capability_router.catalogue.price_map import canonical_vendor
from tests.catalogue.maps import Rows, installed_rows

CATALOGUE = Catalogue.from_litellm()
ROWS = installed_rows()
KNOWN = {name: ROWS[name] for name in CATALOGUE}


def count(*modes: str, flags: tuple[str, ...] = (), rows: Rows = ROWS) -> int:
    """Count the entries of some modes of which one of the flags is true."""
    return sum(
        row.get("mode") in modes and (not flags or any(row.get(flag) is True for flag in flags))
        for row in rows.values()
    )


def at(leaf: str) -> int:
    path = CapabilityTree().resolve(leaf).path
    return sum(path in entry.capabilities for entry in CATALOGUE.values())


def test_every_entry_is_a_model_or_is_told_why_it_is_none() -> None:
    assert set(ROWS) == set(CATALOGUE) | set(CATALOGUE.unmapped)
    assert set(CATALOGUE).isdisjoint(CATALOGUE.unmapped)
    assert [name for name, entry in CATALOGUE.items() if not entry.capabilities] == []
    assert [name for name, reason in CATALOGUE.unmapped.items() if len(reason.split()) < 3] == []


def test_most_entries_are_models() -> None:
    assert len(CATALOGUE) > 0.8 * len(ROWS)


def test_no_reason_is_that_a_value_cannot_be_read() -> None:
    read = [r for r in CATALOGUE.unmapped.values() if "no number" in r or "no date" in r]
    assert read == []


@pytest.mark.parametrize(
    ("leaf", "modes", "flags"),
    [
        ("chat-completion", ("chat", "responses"), ()),
        ("code-generation", ("chat", "responses"), ()),
        ("summarization", ("chat", "responses"), ()),
        ("tool-calling", ("chat", "responses"), ("supports_function_calling",)),
        ("function-call-generation", ("chat", "responses"), ("supports_function_calling",)),
        (
            "json-generation",
            ("chat", "responses"),
            ("supports_response_schema", "supports_native_structured_output"),
        ),
        ("image-captioning", ("chat", "responses"), ("supports_vision", "supports_image_input")),
        ("document-parsing", ("chat", "responses"), ("supports_pdf_input",)),
        ("video-captioning", ("chat", "responses"), ("supports_video_input",)),
        ("grounded-generation", ("chat", "responses"), ("supports_web_search",)),
        ("computer-use", ("chat", "responses"), ("supports_computer_use",)),
        ("text-completion", ("completion",), ()),
        ("text-embeddings", ("embedding",), ()),
        ("reranking", ("rerank",), ()),
        ("web-search", ("search",), ()),
        ("ocr", ("ocr",), ()),
        ("speech-to-text", ("audio_transcription",), ()),
        ("text-to-speech", ("audio_speech",), ()),
        ("realtime-conversation", ("realtime",), ()),
        ("quality-scoring", ("evaluation",), ()),
        ("content-moderation", ("moderation", "guardrail"), ()),
        ("form-extraction", ("extraction",), ()),
    ],
)
def test_a_leaf_has_nearly_all_models_of_its_mode_and_flags(
    leaf: str, modes: tuple[str, ...], flags: tuple[str, ...]
) -> None:
    known, all_rows = count(*modes, flags=flags, rows=KNOWN), count(*modes, flags=flags)
    # What is missing goes by its name: guards among chats, music among speech.
    assert 0.95 * known - 1 <= at(leaf) <= known + 12
    assert 0.75 * all_rows - 2 <= at(leaf)


@pytest.mark.parametrize(
    ("leaves", "modes"),
    [
        (
            ("text-to-image", "image-to-image", "inpainting", "background-removal", "upscaling"),
            ("image_generation", "image_edit"),
        ),
        (("text-to-video", "image-to-video"), ("video_generation",)),
        (("text-to-speech", "music-generation"), ("audio_speech",)),
    ],
)
def test_models_that_their_names_tell_apart_stand_at_one_leaf_each(
    leaves: tuple[str, ...], modes: tuple[str, ...]
) -> None:
    assert count(*modes, rows=KNOWN) <= sum(map(at, leaves)) <= count(*modes, rows=KNOWN) + 2


def test_no_guard_is_offered_for_chats() -> None:
    guards = [entry for name, entry in CATALOGUE.items() if "guard" in name.lower()]
    assert len(guards) > 10
    assert {leaf.rpartition(".")[2] for guard in guards for leaf in guard.capabilities} == {
        "toxicity-detection",
        "content-moderation",
    }


def test_no_chat_is_offered_that_only_another_endpoint_serves() -> None:
    # LiteLLM carries a chat over to the other endpoint by the mode alone.
    stuck = {
        name
        for name, row in ROWS.items()
        if row.get("mode") == "chat" and row.get("supported_endpoints") == ["/v1/responses"]
    }
    assert stuck
    assert stuck.isdisjoint(CATALOGUE)


def test_every_flag_that_is_true_is_a_feature() -> None:
    flags = {
        "supports_function_calling": Feature.TOOL_CALLING,
        "supports_tool_choice": Feature.TOOL_CHOICE,
        "supports_response_schema": Feature.STRUCTURED_OUTPUT,
        "supports_vision": Feature.VISION,
        "supports_audio_input": Feature.AUDIO_INPUT,
        "supports_pdf_input": Feature.PDF_INPUT,
        "supports_video_input": Feature.VIDEO_INPUT,
        "supports_reasoning": Feature.REASONING,
        "supports_assistant_prefill": Feature.ASSISTANT_PREFILL,
    }
    for flag, feature in flags.items():
        told = {name for name, row in KNOWN.items() if row.get(flag) is True}
        assert told
        assert told <= {name for name, entry in CATALOGUE.items() if feature in entry.features}


def test_a_flag_that_is_false_is_no_feature_of_a_chat_model() -> None:
    denied = [
        name
        for name, row in KNOWN.items()
        if row["mode"] == "chat" and row.get("supports_function_calling") is False
    ]
    assert denied
    assert [n for n in denied if Feature.TOOL_CALLING in CATALOGUE[n].features] == []


def test_prices_are_those_that_litellm_charges() -> None:
    compared = 0
    for name, entry in list(CATALOGUE.items())[::37]:
        if entry.price is None:
            continue
        row = ROWS[name]
        assert entry.price.cost_usd(1_000_000, 0) == pytest.approx(
            1_000_000 * float(str(row.get("input_cost_per_token", 0)))
        )
        assert entry.price.cost_usd(0, 1_000_000) == pytest.approx(
            1_000_000 * float(str(row.get("output_cost_per_token", 0)))
        )
        compared += 1
    assert compared > 50


def test_a_model_has_a_price_wherever_the_map_has_one_for_its_unit() -> None:
    per_page = [n for n, row in KNOWN.items() if row.get("ocr_cost_per_page")]
    assert per_page
    assert [n for n in per_page if not CATALOGUE[n].unit_prices] == []
    unpriced = [e for e in CATALOGUE.values() if e.usd is None]
    assert len(unpriced) < 0.12 * len(CATALOGUE)


def test_every_last_day_is_that_of_the_map_at_midnight_utc() -> None:
    dated = {name: row for name, row in KNOWN.items() if "deprecation_date" in row}
    assert len(dated) > 100
    for name, row in dated.items():
        day = datetime.fromisoformat(f"{row['deprecation_date']}T00:00:00+00:00")
        assert CATALOGUE[name].deprecated_at == day.timestamp(), name


# These ask for a login as soon as a model of theirs is named.
LOGINS = {"github_copilot", "chatgpt"}
# Other names that LiteLLM has for the API of the same vendor.
SAME = {"ai21_chat": "ai21"}


def test_litellm_finds_each_model_by_vendor_and_name() -> None:
    # What is registered is called as vendor/name, whatever its key in the map is.
    reached = {str(provider.value) for provider in litellm.LlmProviders} - LOGINS
    lost: list[str] = []
    for entry in CATALOGUE.values():
        if entry.vendor in reached:
            name, vendor, _, _ = litellm.get_llm_provider(f"{entry.vendor}/{entry.model_name}")
            vendor = SAME.get(vendor, canonical_vendor(vendor))
            if (vendor, name) != (entry.vendor, entry.model_name):
                lost.append(entry.name)
    # LiteLLM takes what Mistral sells on Azure for a model of OpenAI's shape.
    assert lost == ["azure/mistral-large-latest"]
