"""The form in which each vendor refuses a request: status, headers and body."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

IN_A_DAY_MS = str(int((time.time() + 86_400) * 1000))


@dataclass(frozen=True)
class VendorError:
    """One refusal.

    Attributes:
        vendor: As LiteLLM names it.
        shape: What has happened, for the documentation.
        status: HTTP status.
        body: JSON of the response.
        kind: The failure kind that it is to have.
        headers: Headers of the response besides the usual.
        wait_s: Seconds that it asks to wait; None if it does not.
    """

    vendor: str
    shape: str
    status: int
    body: Json
    kind: str
    headers: Mapping[str, str] = field(default_factory=dict)
    wait_s: float | None = None

    def __str__(self) -> str:
        return f"{self.vendor}: {self.shape}"


def openai(
    shape: str, status: int, kind: str, message: str, code: str | None = None, **more: Any
) -> VendorError:
    error = {
        "message": message,
        "type": more.pop("type", "invalid_request_error"),
        "param": None,
        "code": code,
    }
    return VendorError("openai", shape, status, {"error": error}, kind, **more)


def azure(shape: str, status: int, kind: str, code: str, message: str, **more: Any) -> VendorError:
    inner: Json = more.pop("inner", {})
    body = {"error": {"code": code, "message": message, **inner}}
    return VendorError("azure", shape, status, body, kind, **more)


def anthropic(
    shape: str, status: int, kind: str, type_: str, message: str, **more: Any
) -> VendorError:
    body = {"type": "error", "error": {"type": type_, "message": message}, "request_id": "req_1"}
    return VendorError("anthropic", shape, status, body, kind, **more)


def gemini(
    shape: str, status: int, kind: str, state: str, message: str, *details: Json, **more: Any
) -> VendorError:
    error = {"code": status, "message": message, "status": state, "details": list(details)}
    return VendorError("gemini", shape, status, {"error": error}, kind, **more)


def groq(
    shape: str, status: int, kind: str, message: str, code: str | None = None, **more: Any
) -> VendorError:
    error = {"message": message, "type": more.pop("type", "invalid_request_error"), "code": code}
    return VendorError("groq", shape, status, {"error": error}, kind, **more)


def mistral(
    shape: str, status: int, kind: str, type_: str, message: str, code: str, **more: Any
) -> VendorError:
    body = {"object": "error", "message": message, "type": type_, "param": None, "code": code}
    return VendorError("mistral", shape, status, body, kind, **more)


def bedrock(shape: str, status: int, kind: str, exception: str, message: str) -> VendorError:
    headers = {"x-amzn-errortype": f"{exception}:http://internal.amazon.com/coral/"}
    return VendorError("bedrock", shape, status, {"message": message}, kind, headers)


def openrouter(shape: str, status: int, kind: str, message: str, **more: Any) -> VendorError:
    error = {"message": message, "code": status, "metadata": more.pop("metadata", {})}
    return VendorError("openrouter", shape, status, {"error": error}, kind, **more)


def google(kind: str, **fields: Any) -> Json:
    return {"@type": f"type.googleapis.com/google.rpc.{kind}", **fields}


def quota(quota_id: str) -> Json:
    return google("QuotaFailure", violations=[{"quotaId": quota_id}])
