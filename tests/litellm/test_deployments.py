"""What a deployment of LiteLLM says of the model that it is."""

from typing import Any

import litellm
import pytest

from capability_router import CapabilityRouter, Model
from litellm_capability_router import attach, capability_model_list
from litellm_capability_router.declarations import declared_models
from litellm_capability_router.deployments import NoDeploymentError


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


def test_model_without_its_deployment_is_refused_with_what_to_do() -> None:
    host = litellm.Router(model_list=[deployment(capabilities=["text-embeddings"])])
    router = CapabilityRouter()
    attach(host, router)
    host.delete_deployment("dep")
    with pytest.raises(NoDeploymentError, match="'dep' has left its LiteLLM Router: add it there"):
        capability_model_list(router)
