"""One named provider: its port, the faults to come, and the record of what it was asked.

Chooses the fault of each request and counts it; the answer itself is the responder's business.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from capability_router.lab.answers import AnswerSource
from capability_router.lab.constructors import ok, refused
from capability_router.lab.embeddings import EmbeddingSource
from capability_router.lab.errors import LabError
from capability_router.lab.faults import Fault, FaultKind
from capability_router.lab.listener import LOOPBACK, Listener
from capability_router.lab.prefills import Prefill, checked_prefill
from capability_router.lab.quota import Quota, QuotaMeter
from capability_router.lab.records import Ending, LabRequest, RequestLog, plain_values
from capability_router.lab.refusals import Refusal, quota_refusal
from capability_router.lab.responder import Responder
from capability_router.lab.turns import Turn
from capability_router.lab.wire import Connection, GoneError, HttpRequest

__all__ = [
    "LabProvider",
]


class LabProvider:
    """A provider of a :class:`~capability_router.lab.Lab`, which creates and starts it.

    Every request takes the next fault of the script or, once that is used up, the standing fault.
    All members may be used from any thread, also while requests are under way.

    Args:
        name: Unique within the lab.
        source: Makes the healthy answers.
        embeddings: Makes the vectors.
        clock: Monotonic seconds, for the quota and the record of requests.
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
        self._lock = threading.Lock()
        self._in_service = False
        self._stopped = False
        self._script: deque[Fault] = deque()
        self._standing = ok()
        self._prefill: Prefill = "continue"
        self._meter: QuotaMeter | None = None
        self._log = RequestLog(name, clock)
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
        return self._log.requests

    @property
    def request_count(self) -> int:
        """How many requests were received since the last reset, whatever became of them."""
        return len(self._log)

    @property
    def open_connections(self) -> int:
        """How many connections of clients are open at this moment, with or without a request.

        One that a client has closed counts until the provider has noticed, which takes a moment.
        """
        return self._listener.connection_count

    def wait_for_requests(self, count: int, timeout: float = 10.0) -> None:
        """Wait until a number of requests was received since the last reset.

        Args:
            count: Requests to wait for; those already received count.
            timeout: Longest wait in seconds.

        Raises:
            TimeoutError: If they do not come in time.
        """
        self._log.wait_for(count, timeout)

    def wait_until_idle(self, timeout: float = 10.0) -> None:
        """Wait until no request is under way, so that each one tells how it has ended.

        A client has its answer a moment before the request counts as ended. The connection of a
        request that was cut or whose client left is closed by then.

        Args:
            timeout: Longest wait in seconds.

        Raises:
            TimeoutError: If a request is still under way then.
        """
        self._log.wait_until_idle(timeout)

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
        self._log.clear()

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
            turn, noted = self._begin(connection, request)
            ended: Ending = "cut"
            try:
                self._responder.respond(turn)
                ended = "cut" if connection.is_cut else "answered"
            except GoneError:
                ended = "client left"
                raise
            finally:
                # Whoever waited for the end finds the broken connection closed.
                if ended != "answered":
                    connection.close()
                self._log.end(turn.number, noted, ended)

    def _begin(self, connection: Connection, request: HttpRequest) -> tuple[Turn, LabRequest]:
        body = plain_values(request)
        with self._lock:
            fault = self._script.popleft() if self._script else self._standing
            number, noted = self._log.begin(request, body, fault)
            # Taken under the lock, or a healing between here and the wait would be missed.
            healed, prefill = self._healed, self._prefill
        return Turn(connection, request, body, fault, prefill, number, healed), noted

    def _spend(self) -> Refusal | None:
        with self._lock:
            if self._meter is None or self._meter.take():
                return None
            return quota_refusal(self._meter.remaining_s())


def _check_fault(fault: object) -> None:
    if not isinstance(fault, Fault):
        name = getattr(fault, "__name__", None)
        hint = f"; did you mean {name}()?" if name else ""
        raise TypeError(f"expected a fault, found {fault!r}{hint}")
