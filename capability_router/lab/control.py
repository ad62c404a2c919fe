"""Switches faults over HTTP, for people at a terminal and for tests in another process.

``GET /`` shows the providers, ``PUT /providers/NAME/fault``, ``/quota`` and ``/prefill`` set what
their bodies say, ``POST /providers/NAME/stop``, ``/start``, ``/heal`` and ``/reset`` do what they
say. Answers on loopback only, and no web page that a browser on this machine shows can use it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

from capability_router.lab.errors import LabError
from capability_router.lab.faults import Fault
from capability_router.lab.json_values import as_mapping, parsed
from capability_router.lab.listener import LOOPBACK, Listener
from capability_router.lab.prefills import checked_prefill
from capability_router.lab.provider import LabProvider
from capability_router.lab.quota import Quota
from capability_router.lab.wire import Connection, HttpRequest

__all__ = [
    "ControlEndpoint",
]

_LOCAL_HOSTS = frozenset({LOOPBACK, "localhost"})

_ACTIONS: Mapping[str, Callable[[LabProvider], None]] = {
    "stop": LabProvider.stop,
    "start": LabProvider.start,
    "heal": LabProvider.heal,
    "reset": LabProvider.reset,
}


class _ControlError(Exception):
    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class ControlEndpoint:
    """The control endpoint of one lab.

    Args:
        providers: The lab's providers by name.
        port: Port on 127.0.0.1; 0 lets the system choose one.
    """

    def __init__(self, providers: Mapping[str, LabProvider], port: int = 0) -> None:
        self._providers = providers
        self._listener = Listener("lab-control", self._serve, port)

    @property
    def url(self) -> str:
        """Address without a slash at its end.

        Raises:
            LabError: If it was never started and the system is to choose the port.
        """
        if not self._listener.port:
            raise LabError("the control endpoint has no port yet: start the lab first")
        return f"http://{LOOPBACK}:{self._listener.port}"

    def start(self) -> None:
        """Begin to listen.

        Raises:
            LabError: If the port is taken.
        """
        try:
            self._listener.open()
        except OSError as error:
            where = f"{LOOPBACK}:{self._listener.port}"
            raise LabError(f"the control endpoint cannot listen on {where}: {error}") from error

    def stop(self) -> None:
        """Release the port and end all threads."""
        self._listener.close()

    def _serve(self, connection: Connection) -> None:
        while (request := connection.read_request()) is not None:
            try:
                _check_origin(request)
                connection.send_json(HTTPStatus.OK, self._handled(request))
            except _ControlError as error:
                connection.send_json(error.status, {"error": str(error)})

    def _handled(self, request: HttpRequest) -> dict[str, object]:
        if request.path == "/" and request.method == "GET":
            return {"providers": [_described(provider) for provider in self._providers.values()]}
        match request.path.strip("/").split("/"):
            case ["providers", name, command]:
                provider = self._provider(name)
            case _:
                raise _ControlError(HTTPStatus.NOT_FOUND, f"nothing is at {request.path}")
        try:
            _obey(provider, request, command)
        except (ValueError, LabError) as error:
            raise _ControlError(HTTPStatus.BAD_REQUEST, str(error)) from error
        return _described(provider)

    def _provider(self, name: str) -> LabProvider:
        if name not in self._providers:
            known = ", ".join(self._providers)
            raise _ControlError(HTTPStatus.NOT_FOUND, f"no provider {name!r}, only {known}")
        return self._providers[name]


def _check_origin(request: HttpRequest) -> None:
    """Refuse what a web page sends: another name for this address, or another page's origin."""
    host = _host_of(f"//{request.headers.get('host', '')}")
    origin = request.headers.get("origin")
    if host not in _LOCAL_HOSTS or (origin is not None and _host_of(origin) not in _LOCAL_HOSTS):
        raise _ControlError(HTTPStatus.FORBIDDEN, f"only for {' and '.join(sorted(_LOCAL_HOSTS))}")


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _obey(provider: LabProvider, request: HttpRequest, command: str) -> None:
    match request.method, command:
        case "PUT", "fault":
            provider.fault = Fault.from_mapping(_body(request))
        case "PUT", "quota":
            lifted = request.body.strip() == b"null"
            provider.quota = None if lifted else Quota.from_mapping(_body(request))
        case "PUT", "prefill":
            provider.prefill = checked_prefill(parsed(request.body or b"null"))
        case "POST", action if action in _ACTIONS:
            _ACTIONS[action](provider)
        case _:
            puts, posts = ("fault", "quota", "prefill"), _ACTIONS
            allowed = ", ".join([*map("PUT {}".format, puts), *map("POST {}".format, posts)])
            raise ValueError(f"cannot {request.method} {command}, only {allowed}")


def _body(request: HttpRequest) -> Mapping[str, object]:
    body = as_mapping(parsed(request.body or b"null"))
    if body is None:
        raise ValueError('the body must be a JSON object, such as {"kind": "ok"}')
    return body


def _described(provider: LabProvider) -> dict[str, object]:
    allowance = provider.quota
    return {
        "name": provider.name,
        "base_url": provider.base_url,
        "listening": provider.is_listening,
        "fault": provider.fault.as_mapping(),
        "script": [fault.as_mapping() for fault in provider.scripted],
        "quota": allowance
        and {
            "requests": allowance.requests,
            "resets_after": allowance.resets_after,
        },
        "prefill": provider.prefill,
        "request_count": provider.request_count,
    }
