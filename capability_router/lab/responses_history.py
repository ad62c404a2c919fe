"""What a provider remembers of its responses, so that a client can go on from one of them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from capability_router.lab.refusals import invalid

__all__ = [
    "ResponseHistory",
]

# Enough for any test; without an end a long measurement would fill the memory.
_MOST_RESPONSES = 10_000


class ResponseHistory:
    """The conversations that ended with the responses of one provider; safe in threads.

    Another provider does not know them, as it is among real ones.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._conversations: OrderedDict[str, Sequence[Mapping[str, object]]] = OrderedDict()

    def remember(self, id_: str, messages: Sequence[Mapping[str, object]]) -> None:
        """Keep a conversation, in the words of a chat request, under the id of its response."""
        with self._lock:
            self._conversations[id_] = messages
            if len(self._conversations) > _MOST_RESPONSES:
                self._conversations.popitem(last=False)

    def recall(self, id_: str) -> Sequence[Mapping[str, object]]:
        """Give back a conversation.

        Raises:
            RefusedError: With a 400, if there is none of this id.
        """
        with self._lock:
            found = self._conversations.get(id_)
        if found is None:
            message = f"Previous response with id '{id_}' not found."
            raise invalid(message, "previous_response_id", "previous_response_not_found")
        return found

    def forget(self) -> None:
        """Forget every conversation."""
        with self._lock:
            self._conversations.clear()
