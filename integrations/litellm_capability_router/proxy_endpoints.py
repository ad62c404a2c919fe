"""Read-only endpoints of the proxy, behind its own authentication."""

from __future__ import annotations

import os
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from litellm.proxy.auth.user_api_key_auth import user_api_key_auth

from capability_router import CapabilityRouter
from litellm_capability_router.proxy_views import decisions_view, health_view, pools_view

__all__ = ["endpoints"]

_Limit = Annotated[int, Query(ge=1, le=1000, description="How many decisions, newest first.")]


def endpoints(router: CapabilityRouter) -> APIRouter:
    """Return the endpoints below ``/capability_router`` that tell of a router.

    Each process of the proxy tells of itself, and says which one it is.
    """
    api = APIRouter(
        prefix="/capability_router",
        dependencies=[Depends(user_api_key_auth)],
        tags=["capability_router"],
    )

    async def health() -> dict[str, Any]:
        return {"process": os.getpid(), "models": health_view(router)}

    async def pools() -> dict[str, Any]:
        return {"process": os.getpid(), "pools": pools_view(router)}

    async def decisions(limit: _Limit = 100) -> dict[str, Any]:
        return {"process": os.getpid(), "decisions": decisions_view(router, limit)}

    for endpoint in (health, pools, decisions):
        api.add_api_route(f"/{endpoint.__name__}", endpoint, methods=["GET"])
    return api
