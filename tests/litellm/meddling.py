"""Does to the Router of a running proxy what the proxy does when its database changes."""

from __future__ import annotations

from typing import Any

import litellm
from fastapi import APIRouter
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy import proxy_server

meddler = CustomLogger()
api = APIRouter()


def _host() -> Any:
    return proxy_server.llm_router


@api.post("/meddle/settings")
async def settings() -> None:
    _host().update_settings(
        routing_strategy="least-busy", num_retries=3, model_group_alias={"nickname": "group-one"}
    )


@api.post("/meddle/router")
async def router() -> None:
    listed = [dict(deployment) for deployment in _host().model_list]
    proxy_server.llm_router = litellm.Router(model_list=listed)


@api.post("/meddle/delete/{model_id}")
async def delete(model_id: str) -> None:
    _host().delete_deployment(id=model_id)


proxy_server.app.include_router(api)
