"""What a deployment of LiteLLM says of the model that it is."""

from typing import Any

import pytest

from capability_router import Model
from litellm_capability_router.declarations import declared_models


def deployment(**info: Any) -> dict[str, Any]:
    params = {"model": "openai/text-embedding-3-small"}
    return {"model_name": "group", "litellm_params": params, "model_info": {"id": "dep", **info}}


def test_deployment_without_capabilities_declares_no_model() -> None:
    assert declared_models([deployment(features=["vision"])]) == []


@pytest.mark.parametrize(
    ("info", "space"),
    [
        ({}, "text-embedding-3-small"),
        ({"dimensions": 1536}, "text-embedding-3-small[1536]"),
        ({"vector_space": "ours", "dimensions": 512}, "ours[512]"),
    ],
)
def test_deployment_declares_its_vector_space(info: dict[str, Any], space: str) -> None:
    [declared] = declared_models([deployment(capabilities=["text-embeddings"], **info)])
    assert declared == Model(
        "dep",
        ("text-embeddings",),
        provider="openai",
        name="openai/text-embedding-3-small",
        **info,
    )
    assert declared.embedding_space == space
