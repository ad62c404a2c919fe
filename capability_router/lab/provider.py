"""One named provider: its port, the faults to come, and the record of what it was asked.

Chooses the fault of each request and counts it; the answer itself is the responder's business.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from capability_router.lab.answers import AnswerSource
from capability_router.lab.constructors import ok, refused
from capability_router.lab.embeddings import EmbeddingSource
from capability_router.lab.errors import LabError
from capability_router.lab.faults import Fault, FaultKind
from capability_router.lab.json_values import as_mapping, parsed
from capability_router.lab.listener import LOOPBACK, Listener
from capability_router.lab.multipart import described, flag_text, is_form, read_form
from capability_router.lab.prefills import Prefill, checked_prefill
from capability_router.lab.quota import Quota, QuotaMeter
from capability_router.lab.refusals import Refusal, quota_refusal
from capability_router.lab.responder import Responder
from capability_router.lab.turns import Turn
from capability_router.lab.wire import Connection, HttpRequest

__all__ = [
    "LabProvider",
    "LabRequest",
]

_SECRET_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie"}
)


@dataclass(frozen=True, slots=True)
class LabRequest:
    """One request a provider received.

    Attributes:
        method: In capitals.
        path: Without the query.
        body: The JSON object sent; of a form its fields as texts, and of each file its
            ``filename``, ``content_type`` and ``size`` in bytes, with a list where a field came
            more than once or its name ends in ``[]``, which falls away. None where the body was
            neither.
        headers: Names in lower case; the values of headers that carry secrets are replaced.
        fault: How the request was met.
        stream: Whether the body asked for a stream.
    """

    method: str
    path: str
    body: Mapping[str, object] | None
    headers: Mapping[str, str]
    fault: Fault
    stream: bool


class LabProvider:
    """A provider of a :class:`~capability_router.lab.Lab`, which creates and starts it.

    Every request takes the next fault of the script or, once that is used up, the standing fault.
    All members may be used from any thread, also while requests are under way.

    Args:
        name: Unique within the lab.
        source: Makes the healthy answers.
        embeddings: Makes the vectors.
        clock: Monotonic seconds, read by the quota alone.
        port: Port on 127.0.0.1; 0 lets the system choose one.
    """

    def __init__(
        self,
        name: str,
        source: AnswerSource,
        embeddings: EmbeddingSource,
        clock: Callable[[], float],
        port: int = 0,
    ) -> None:
        self.name = name
        self._clock = clock
        self._responder = Responder(name, source, embeddings, self._spend)
        self._listener = Listener(f"lab-{name}", self._serve, port)
        # Opening and closing waits for connection threads, which need the second lock to end.
        self._switch = threading.RLock()
        self._lock = threading.Condition()
        self._in_service = False
        self._stopped = False
        self._script: deque[Fault] = deque()
        self._standing = ok()
        self._prefill: Prefill = "continue"
        self._meter: QuotaMeter | None = None
        self._requests: list[LabRequest] = []
        self._healed = threading.Event()

    @property
    def port(self) -> int:
        """Port on 127.0.0.1, the same for as long as the lab exists.

        Raises:
            LabError: If the lab was never started and the system is to choose the port.
        """
        if not self._listener.port:
            raise LabError(f"{self.name!r} has no port yet: start the lab first")
        return self._listener.port

    def __repr__(self) -> str:
        return f"LabProvider({self.name!r}, {self.base_url!r}, {self.fault})"

    @property
    def base_url(self) -> str:
        """What OpenAI clients call ``base_url``, ending in ``/v1``.

        Raises:
            LabError: As :attr:`port`.
        """
        return f"{self.root_url}/v1"

    @property
    def root_url(self) -> str:
        """What Anthropic's clients call ``base_url``: the address without ``/v1``.

        Raises:
            LabError: As :attr:`port`.
        """
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def is_listening(self) -> bool:
        """Whether connections are accepted at this moment."""
        return self._listener.is_open

    @property
    def fault(self) -> Fault:
        """The standing fault; ``refused()`` exactly while the provider is stopped.

        Setting ``refused()`` stops the provider, setting anything else starts it again; ``ok()``
        also answers the requests that hang.
        """
        with self._lock:
            return refused() if self._stopped else self._standing

    @fault.setter
    def fault(self, fault: Fault) -> None:
        _check_fault(fault)
        if fault.kind is FaultKind.REFUSED:
            self.stop()
            return
        with self._lock:
            self._standing = fault
        if fault.kind is FaultKind.OK:
            self._answer_waiting()
        self._resume()

    @property
    def quota(self) -> Quota | None:
        """Requests served before the 429s begin; None is no limit. Setting it counts anew."""
        with self._lock:
            return self._meter.allowance if self._meter is not None else None

    @quota.setter
    def quota(self, allowance: Quota | None) -> None:
        with self._lock:
            self._meter = QuotaMeter(allowance, self._clock) if allowance is not None else None

    @property
    def prefill(self) -> Prefill:
        """What becomes of a conversation that ends with a message of the assistant.

        ``continue`` answers with what follows it. ``echo`` sends it again before that, ``refuse``
        answers 400 as Anthropic does, and ``restart`` begins a new answer. A response of the
        Responses API always begins anew. Stays until it is set or the provider is reset.

        Raises:
            ValueError: If it is set to anything else.
        """
        with self._lock:
            return self._prefill

    @prefill.setter
    def prefill(self, prefill: Prefill) -> None:
        checked = checked_prefill(prefill)
        with self._lock:
            self._prefill = checked

    @property
    def requests(self) -> tuple[LabRequest, ...]:
        """Every request received since the last reset, in order."""
        with self._lock:
            return tuple(self._requests)

    @property
    def request_count(self) -> int:
        """How many requests were received since the last reset, whatever became of them."""
        with self._lock:
            return len(self._requests)

    def wait_for_requests(self, count: int, timeout: float = 10.0) -> None:
        """Wait until a number of requests was received since the last reset.

        Args:
            count: Requests to wait for; those already received count.
            timeout: Longest wait in seconds.

        Raises:
            TimeoutError: If they do not come in time.
        """
        with self._lock:
            if not self._lock.wait_for(lambda: len(self._requests) >= count, timeout):
                found = len(self._requests)
                raise TimeoutError(f"{self.name!r} received {found} of {count} requests")

    @property
    def scripted(self) -> tuple[Fault, ...]:
        """Faults of the script that no request has met yet."""
        with self._lock:
            return tuple(self._script)

    def script(self, *faults: Fault) -> None:
        """Set the faults of the next requests, one each; replaces what is left of an older script.

        Raises:
            ValueError: If one is ``refused()``, which happens before there is a request.
            TypeError: If one is no fault.
        """
        for fault in faults:
            _check_fault(fault)
            if fault.kind is FaultKind.REFUSED:
                raise ValueError(
                    "refused() cannot be an entry of a script: a refused connection brings no"
                    " request to take the entry. Use stop() and start(), or fault = refused()."
                )
        with self._lock:
            self._script = deque(faults)

    def heal(self) -> None:
        """Be well: no script, ``ok()``, listening, and requests that hang are answered."""
        self.script()
        self.fault = ok()

    def reset(self) -> None:
        """Be as new: heal, forget the requests, the responses and the quota; continue prefills."""
        self.heal()
        self.prefill = "continue"
        self._responder.forget()
        with self._lock:
            self._meter = None
            self._requests.clear()

    def stop(self) -> None:
        """Die: refuse connections and cut those under way, until :meth:`start`."""
        with self._switch:
            with self._lock:
                self._stopped = True
            if self._in_service:
                self._listen(accepting=False)

    def start(self) -> None:
        """Come back on the same port, with the standing fault of before; no harm while alive.

        Raises:
            LabError: If the lab is not running.
        """
        if not self._in_service:
            raise LabError(f"{self.name!r} cannot start: start the lab first")
        self._resume()

    def enter_service(self) -> None:
        """Begin to listen, unless stopped; for the lab.

        Raises:
            LabError: If the port is taken.
        """
        with self._switch:
            self._in_service = True
            self._listen(accepting=not self._stopped)

    def hang_up(self) -> None:
        """Take no more requests and cut those under way, waiting for nothing; for the lab."""
        with self._switch:
            self._in_service = False
            self._listener.hang_up()

    def leave_service(self) -> None:
        """Release the port and end all threads; for the lab."""
        self.hang_up()
        with self._switch:
            self._listener.close()

    def _resume(self) -> None:
        with self._switch:
            with self._lock:
                self._stopped = False
            if self._in_service:
                self._listen(accepting=True)

    def _listen(self, accepting: bool) -> None:
        try:
            if accepting:
                self._listener.open()
            else:
                self._listener.close(keep_port=True)
        except OSError as error:
            where = f"{LOOPBACK}:{self._listener.port}"
            raise LabError(f"{self.name!r} cannot listen on {where}: {error}") from error

    def _answer_waiting(self) -> None:
        with self._lock:
            healed, self._healed = self._healed, threading.Event()
        healed.set()

    def _serve(self, connection: Connection) -> None:
        while (request := connection.read_request()) is not None:
            self._responder.respond(self._turn(connection, request))

    def _turn(self, connection: Connection, request: HttpRequest) -> Turn:
        body = _plain_values(request)
        with self._lock:
            fault = self._script.popleft() if self._script else self._standing
            self._requests.append(_record(request, body, fault))
            self._lock.notify_all()
            number = len(self._requests)
            # Taken under the lock, or a healing between here and the wait would be missed.
            healed, prefill = self._healed, self._prefill
        return Turn(connection, request, body, fault, prefill, number, healed)

    def _spend(self) -> Refusal | None:
        with self._lock:
            if self._meter is None or self._meter.take():
                return None
            return quota_refusal(self._meter.remaining_s())


def _record(request: HttpRequest, body: Mapping[str, object] | None, fault: Fault) -> LabRequest:
    headers = {
        name: "[redacted]" if name in _SECRET_HEADERS else value
        for name, value in request.headers.items()
    }
    stream = body is not None and flag_text(body.get("stream")) is True
    return LabRequest(request.method, request.path, body, headers, fault, stream)


def _plain_values(request: HttpRequest) -> Mapping[str, object] | None:
    try:
        if is_form(request.headers):
            return described(read_form(request.headers["content-type"], request.body))
        return as_mapping(parsed(request.body))
    except ValueError:
        # Not swallowed: the endpoint answers a body it cannot read with a 400.
        return None


def _check_fault(fault: object) -> None:
    if not isinstance(fault, Fault):
        name = getattr(fault, "__name__", None)
        hint = f"; did you mean {name}()?" if name else ""
        raise TypeError(f"expected a fault, found {fault!r}{hint}")
