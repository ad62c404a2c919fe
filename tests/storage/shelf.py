"""A store in memory with a clock that stands still, from which each client can be cut off."""

from collections.abc import Callable, Sequence

from capability_router.storage.store import Answer, Exchange, News, StoreError, StoreFault
from tests.storage.model import ModelStore, Shared


class Client(ModelStore):
    """A process's way to the store; ``meanwhile`` is called while the next answer is on its way."""

    def __init__(self, shelf: Shared) -> None:
        super().__init__(shelf)
        self.cut: StoreFault | None = None
        self.asked: list[Exchange] = []
        self.meanwhile: Callable[[], object] | None = None
        super().listen(0)

    @property
    def waiting(self) -> bool:
        """Whether there are news that it has not heard."""
        return len(self.shared.told) > (self.heard or 0)

    def lose_news(self) -> None:
        super().listen(0)

    def exchange(self, exchange: Exchange) -> Answer:
        if self.cut is not None:
            raise StoreError(self.cut, "cut off by the test")
        self.asked.append(exchange)
        answer = super().exchange(exchange)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return answer

    def listen(self, timeout_s: float) -> Sequence[News]:
        news = super().listen(timeout_s)
        if self.cut is not None:
            raise StoreError(self.cut, "cut off by the test")
        return news
