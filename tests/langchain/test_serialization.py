"""Copies, pickles and JSON forms: a chat model travels as the path of its configuration."""

import copy
import gc
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from langchain_core.load import dumpd, dumps, load
from langchain_core.runnables import RunnableLambda
from pydantic import SecretStr

from capability_router import CapabilityRouter, Model
from langchain_capability_router import ChatCapabilityRouter

ALLOWED: dict[str, Any] = {
    "allowed_objects": [ChatCapabilityRouter],
    "valid_namespaces": ["langchain_capability_router"],
}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KEY_OF_ALPHA", "sesame")
    path = tmp_path / "router.yaml"
    path.write_text(
        "providers:\n  alpha: {base_url: 'http://127.0.0.1:9/v1', api_key: '${env:KEY_OF_ALPHA}'}\n"
        "models:\n  alpha/tiny: {capabilities: [chat-completion]}\n",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def chat(path: Path) -> ChatCapabilityRouter:
    return ChatCapabilityRouter.model_validate(
        {
            "router": path,
            "requires": ["tool_calling", "streaming"],
            "prefers": ["alpha"],
            "temperature": 0.5,
            "deadline": 9,
            "api_key": "sesame",
        }
    )


def test_path_is_taken_for_the_one_router_of_this_file(path: Path) -> None:
    first, second = (
        ChatCapabilityRouter.model_validate({"router": where}) for where in (path, str(path))
    )
    assert first.router is second.router is CapabilityRouter.shared(path)


def test_router_that_was_read_by_hand_is_the_one_of_its_file(path: Path) -> None:
    router = CapabilityRouter.from_yaml(path)
    assert CapabilityRouter.shared(path) is router
    assert CapabilityRouter.from_yaml(path) is not router


def test_router_that_nobody_holds_is_forgotten(path: Path) -> None:
    CapabilityRouter.shared(path).deactivate("alpha/tiny")
    gc.collect()
    assert CapabilityRouter.shared(path).pool("chat-completion").get_standby_models() == []


def test_router_comes_from_the_environment_where_none_is_given(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="set CAPABILITY_ROUTER_CONFIG"):
        ChatCapabilityRouter()
    monkeypatch.setenv("CAPABILITY_ROUTER_CONFIG", str(path))
    assert ChatCapabilityRouter().router.path == path


def test_pickle_holds_the_path_and_settings_and_no_secret(chat: ChatCapabilityRouter) -> None:
    told = pickle.dumps(chat)
    assert b"sesame" not in told
    again = pickle.loads(told)
    assert again == chat
    assert again.router is chat.router
    assert pickle.loads(pickle.dumps(chat.bind(pool=None))).bound == chat


def test_pickle_is_read_in_another_process(chat: ChatCapabilityRouter, tmp_path: Path) -> None:
    file = tmp_path / "chat.pickle"
    file.write_bytes(pickle.dumps(chat))
    code = f"import pickle; print(pickle.load(open({str(file)!r}, 'rb')).router)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "CapabilityRouter(1 models, pools: none)\n"


@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")
def test_json_form_is_loaded_again(chat: ChatCapabilityRouter) -> None:
    form = dumpd(chat)
    assert form["kwargs"]["router"] == str(chat.router.path)
    assert "sesame" not in dumps(chat)
    again = load(form, **ALLOWED)
    assert again == chat
    assert again.router is chat.router


def test_copy_asks_the_same_router(chat: ChatCapabilityRouter) -> None:
    for copied in (copy.copy(chat), copy.deepcopy(chat), chat.model_copy(deep=True)):
        assert copied == chat
        assert copied.router is chat.router


def test_router_that_was_built_by_code_says_that_it_does_not_travel() -> None:
    router = CapabilityRouter()
    router.register(Model("alpha/tiny", ("chat-completion",)))
    chat = ChatCapabilityRouter(router=router, api_key=SecretStr("sesame"))
    assert dumpd(chat)["type"] == "not_implemented"
    assert "sesame" not in dumps(chat)
    assert copy.deepcopy(chat).router is router
    assert dumpd(chat | RunnableLambda(str))["type"] == "constructor"
    with pytest.raises(TypeError, match="build it with from_yaml"):
        pickle.dumps(chat)
