"""From any client library's exception to a failure, without importing any of them.

Reads statuses, error codes and headers by the attributes that client libraries agree on. An
exception that names no status and is no transport error is the caller's own: it is not held
against the model.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from capability_router.engine.faults import classify
from capability_router.engine.outcome import Failure, FailureKind
from capability_router.error_bodies import ErrorBody, error_body
from capability_router.headers import retry_after_s
from capability_router.resets import duration_s, reset_after_s, stated_reset_s

__all__ = ["causes", "failure_of", "response_headers"]

# Class names of httpx, httpcore, aiohttp, requests, urllib3, openai and anthropic for "no answer
# came". A class counts if it or one of its bases bears the name.
_TIMEOUTS = frozenset({"TimeoutError", "TimeoutException", "APITimeoutError", "Timeout"})
_CUT = frozenset(
    {
        "RemoteProtocolError",
        "ClientPayloadError",
        "IncompleteRead",
        "ChunkedEncodingError",
        "JSONDecodeError",
        "APIResponseValidationError",
        "IncompleteAnswerError",
    }
)
_TRANSPORT = frozenset(
    {
        "TransportError",
        "ClientConnectionError",
        "APIConnectionError",
        "ConnectionError",
        "HTTPError",
        "gaierror",
        "SSLError",
    }
)
# Nothing was sent: a package is missing, or the address or a header is malformed.
_LOCAL = frozenset({"ImportError", "UnsupportedProtocol", "LocalProtocolError", "InvalidURL"})
_NETWORK_ERRNO = frozenset(
    {errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH, errno.ETIMEDOUT}
)
# openai, anthropic and httpx; then aiohttp and urllib; then Google's libraries.
_STATUS_NAMES = ("status_code", "status", "code")


def response_headers(error: BaseException) -> Mapping[str, str] | None:
    """Return the headers of the response that an exception tells of; None if none came.

    Names are in lower case.
    """
    response = _response(error)
    # aiohttp and urllib have no response on their errors: status and headers stand there instead.
    headers = getattr(error if response is None else response, "headers", None)
    if isinstance(response, dict):
        headers = _botocore(response).get("HTTPHeaders")
    # urllib's headers have the methods of a mapping, but do not count as one.
    items = getattr(headers, "items", None)
    return {str(name).lower(): str(value) for name, value in items()} if items else None


def failure_of(
    error: BaseException,
    headers_of: Callable[[BaseException], Mapping[str, str] | None] = response_headers,
    *,
    before: BaseException | None = None,
    wall_s: float | None = None,
) -> Failure:
    """Name what an exception means for the model that was called.

    A status that came with a response decides. Without one, what lies at the bottom of the chain
    of causes does: client libraries report a reset connection as "500" or hide it in an error of
    their own.

    Args:
        error: What the client library raised.
        headers_of: Finds the response headers, where a library keeps them in its own way; None
            from it means that there was no response.
        before: What the caller was handling when the attempt began; no cause of this one.
        wall_s: Seconds since 1970 UTC, to measure stated dates against; None reads the clock.

    Returns:
        A failure that keeps the exception. An exception without a status that is no transport
        error is ``invalid_request``: it would happen with any model.
    """
    status, found = _status(error), headers_of(error)
    kind = _kind_without_response(error, before) if found is None or status is None else None
    if kind is not None or status is None:
        return Failure(kind or FailureKind.INVALID_REQUEST, message=str(error), error=error)
    headers = found or {}
    body = error_body(error, headers)
    said = f"{_code(error)} {error}".strip()
    return classify(
        status,
        said if body is None else body.message,
        codes=None if body is None else body.codes,
        retry_after_s=_wait_s(headers, body, wall_s),
        resets_after_s=_resets_after_s(said, headers, wall_s),
        error=error,
    )


def causes(error: BaseException, before: BaseException | None = None) -> Iterator[BaseException]:
    """Iterate over an exception and what it was raised from, nearest first.

    Args:
        error: The exception.
        before: Where to stop, without it.
    """
    seen = {id(before)}
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _wait_s(
    headers: Mapping[str, str], body: ErrorBody | None, wall_s: float | None
) -> float | None:
    asked_s = retry_after_s(headers, wall_s)
    return duration_s(body.retry_delay) if asked_s is None and body is not None else asked_s


def _resets_after_s(text: str, headers: Mapping[str, str], wall_s: float | None) -> float | None:
    # The words tell of the limit that was hit; a response has the headers of all its limits.
    said_s = stated_reset_s(text, wall_s)
    return reset_after_s(headers, wall_s) if said_s is None else said_s


def _kind_without_response(
    error: BaseException, before: BaseException | None
) -> FailureKind | None:
    chain = list(causes(error, before))
    names = {cls.__name__ for cause in chain for cls in type(cause).__mro__}
    if names & _LOCAL:
        return FailureKind.INVALID_REQUEST
    if names & _TIMEOUTS:
        return FailureKind.TIMEOUT
    if names & _CUT:
        return FailureKind.PROTOCOL
    if names & _TRANSPORT or any(map(_is_network_error, chain)):
        return FailureKind.CONNECTION
    # An error event within a stream: openai's and anthropic's clients raise their base class.
    return FailureKind.SERVER_ERROR if "APIError" in names and _status(error) is None else None


def _is_network_error(error: BaseException) -> bool:
    """Other errors of the system, a full disk or a file that is not there, are the caller's."""
    if not isinstance(error, OSError) or error.filename is not None:
        return False
    return error.errno is None or error.errno in _NETWORK_ERRNO


def _status(error: Any) -> int | None:
    response = _response(error)
    if isinstance(response, dict):
        return _botocore(response).get("HTTPStatusCode")
    stated = (getattr(source, name, None) for source in (error, response) for name in _STATUS_NAMES)
    return next((s for s in stated if isinstance(s, int) and 400 <= s < 600), None)


def _response(error: Any) -> Any:
    return getattr(error, "response", None)


def _botocore(response: Any) -> Mapping[str, Any]:
    """Return what botocore keeps of a response, which is a dictionary there."""
    found = response.get("ResponseMetadata")
    return cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else {}


def _code(error: Any) -> str:
    code = getattr(error, "code", None)
    return code if isinstance(code, str) else ""
