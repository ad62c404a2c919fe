"""Selection by cost: the member that answers this very request for the least money.

Knows prices and lengths, not who has how much of a budget left.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Iterator
from random import Random

from capability_router.engine.limits import NANO
from capability_router.engine.member import Member
from capability_router.engine.model import Model
from capability_router.engine.outcome import Outcome
from capability_router.engine.request import CompletionRequest
from capability_router.engine.selection import Ranking

__all__ = ["CostFirst", "Point", "PriceLayers"]

_BLEND = (3, 1)
"""Input to output tokens of a request that tells neither: the blend in which Artificial Analysis
quotes the price of a model (artificialanalysis.ai/methodology)."""

_MANY = 16
"""Tried models from which on each price is looked at: peeling off so many layers takes longer."""
_FEW = 256
"""Prices up to which the layers are found anew with each that comes or goes: within some 30 us."""

Point = tuple[int, int]
"""Price of input and of output in parts of ``NANO`` of a US dollar per million tokens. As whole
numbers they compare without rounding, so that equal costs are seen to be equal."""


class CostFirst:
    """The member with the least expected cost of the request at hand.

    That is ``price.input * input_tokens + price.output * output_tokens``, so a short question
    with a long answer may go to another model than a long text with a short summary. Of equal
    costs the lower input price wins, of equal prices the better rank. A model that is free is
    always first; those without a price come after all that have one, by rank.

    Where the caller does not say how long the answer may be, it is taken to be as long as the
    answers to this kind of request were on average, whoever gave them: the cost is exact for that
    length, and that one model is wordier than another is not weighed. Before the first answer,
    and where the length of the input is not known either, three input tokens are weighed against
    one of output.

    Cost is linear in the two prices, so the cheapest for whatever request is a corner of the
    lower left convex hull of all prices. A request costs a binary search on it, from ten models
    to ten thousand; the hull is found anew, in linear time, when a corner comes or goes, and with
    hundreds of prices when several have: a model that is full now and then changes nothing.

    Args:
        rng: Not used.
    """

    def __init__(self, rng: Random) -> None:
        del rng
        self._groups: dict[Point, Ranking] = {}
        self._layers = PriceLayers()
        # Prices that came since the layers were found, and those on them that are gone.
        self._loose: list[Point] = []
        self._gone: set[Point] = set()
        self._unpriced = Ranking()
        self._answers = 0
        self._answered_tokens = 0

    def admit(self, member: Member) -> None:
        """Take in a member that became active."""
        point = _point_of(member.model)
        if point is None:
            self._unpriced.admit(member)
            return
        group = self._groups.get(point)
        if group is None:
            group = self._groups[point] = Ranking()
            self._open(point)
        group.admit(member)

    def withdraw(self, member: Member) -> None:
        """Drop a member that is active no more."""
        point = _point_of(member.model)
        if point is None:
            self._unpriced.withdraw(member)
            return
        group = self._groups[point]
        group.withdraw(member)
        if not group:
            del self._groups[point]
            self._close(point)

    def choose(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> Member | None:
        """Return the cheapest member that is not tried."""
        tokens = self._tokens(request)
        layer = self._layers.at(0)
        if layer is not None and not self._loose:
            group = self._groups.get(layer[_cheapest(layer, tokens)])
            if group is not None and (found := group.first(tried)) is not None:
                return found
        return self._passing_over(tried, tokens)

    def chosen(self, member: Member, tried: Collection[str], now: float) -> None:
        """Nothing to note: what a request costs does not depend on use."""

    def score(self, member: Member, request: CompletionRequest, now: float) -> float | None:
        """Return what a member is compared by: US dollars for the request, the least first.

        Where nothing is known of its length, for three tokens of input and one of output.
        """
        point = _point_of(member.model)
        return None if point is None else _cost(point, self._tokens(request)) / NANO / 1e6

    def learn(self, member: Member, node: str, outcome: Outcome, latency_s: float) -> None:
        """Note how long an answer was.

        Args:
            member: Who gave it.
            node: Full path of the node it was asked for at.
            outcome: The end of the attempt; a failure, or an answer without usage, says nothing.
            latency_s: Seconds the attempt took.
        """
        usage = outcome.usage
        if outcome.failure is None and (usage.output_tokens or usage.input_tokens):
            self._answers += 1
            self._answered_tokens += usage.output_tokens

    def _tokens(self, request: CompletionRequest) -> tuple[int, int]:
        """The input and output tokens to expect; where they are not known, their proportion."""
        given, wanted = request.input_tokens, request.output_tokens
        if wanted:
            return given, wanted
        if given and self._answers:
            # Rounded up, as the ledger does that reserves for it.
            return given, -(-self._answered_tokens // self._answers)
        return _BLEND

    def _open(self, point: Point) -> None:
        """Take in a price; of many, only once there are several, for finding layers takes time."""
        if point in self._gone:
            self._gone.remove(point)
        elif len(self._groups) <= _FEW or not self._layers.are_found:
            self._layers.add(point)
        else:
            self._loose.append(point)
            if len(self._loose) == _MANY:
                for each in self._loose:
                    self._layers.add(each)
                self._loose.clear()

    def _close(self, point: Point) -> None:
        """Take a price out; of many, only once there are several: a full model soon has room."""
        if point in self._loose:
            self._loose.remove(point)
        elif len(self._groups) < _FEW:
            self._layers.drop(point)
        else:
            self._gone.add(point)
            if len(self._gone) == _MANY:
                for each in self._gone:
                    self._layers.drop(each)
                self._gone.clear()

    def _passing_over(self, tried: Collection[str], tokens: tuple[int, int]) -> Member | None:
        """The cheapest that is not tried, where all that have the best price are, or are gone.

        Of what is left when the outer layers are peeled off, the best is on the next. So a layer
        has to be looked at only if the best of every one above it is tried.
        """
        if len(tried) >= _MANY:
            return self._best(self._groups, tried, tokens) or self._unpriced.first(tried)
        candidates = list(self._loose)
        for layer in self._layers:
            place = _cheapest(layer, tokens)
            if self._is_open(layer[place], tried):
                candidates.append(layer[place])
                break
            # Along a layer costs rise away from its best: the nearest on either side will do.
            for side in (layer[place + 1 :], layer[:place][::-1]):
                nearest = next((point for point in side if self._is_open(point, tried)), None)
                candidates += [] if nearest is None else [nearest]
        return self._best(candidates, tried, tokens) or self._unpriced.first(tried)

    def _best(
        self, points: Iterable[Point], tried: Collection[str], tokens: tuple[int, int]
    ) -> Member | None:
        """The cheapest that is not tried of some prices."""
        costs = ((_cost(each, tokens), each) for each in points if self._is_open(each, tried))
        best = min(costs, default=None)
        return None if best is None else self._groups[best[1]].first(tried)

    def _is_open(self, point: Point, tried: Collection[str]) -> bool:
        group = self._groups.get(point)
        return group is not None and group.first(tried) is not None


class PriceLayers:
    """Distinct prices, peeled into convex layers as far as somebody has asked for them.

    Each layer is the lower left hull of what the layers before it leave. A price that comes or
    goes costs the layer whose line it changes, and those below that, to be found anew.
    """

    __slots__ = ("_layers", "_points")

    def __init__(self) -> None:
        self._points: list[Point] = []
        self._layers: list[list[Point]] = []

    def add(self, point: Point) -> None:
        """Take in a price that is not there yet."""
        insort(self._points, point)
        self._forget(point)

    def drop(self, point: Point) -> None:
        """Take a price out."""
        del self._points[bisect_left(self._points, point)]
        self._forget(point)

    @property
    def are_found(self) -> bool:
        """Whether a layer is known, which a change may cost."""
        return bool(self._layers)

    def at(self, depth: int) -> list[Point] | None:
        """Return a layer, outermost first; None if there are not so many."""
        layers = self._layers
        while depth >= len(layers):
            peeled = {point for layer in layers for point in layer}
            layer = _lower_left(point for point in self._points if point not in peeled)
            if not layer:
                return None
            layers.append(layer)
        return layers[depth]

    def __iter__(self) -> Iterator[list[Point]]:
        depth = 0
        while (layer := self.at(depth)) is not None:
            yield layer
            depth += 1

    def _forget(self, point: Point) -> None:
        for depth, layer in enumerate(self._layers):
            if not _lies_above(layer, point):
                del self._layers[depth:]
                return


def _point_of(model: Model) -> Point | None:
    if model.price is None:
        return None
    return round(model.price.input * NANO), round(model.price.output * NANO)


def _cost(point: Point, tokens: tuple[int, int]) -> int:
    return point[0] * tokens[0] + point[1] * tokens[1]


def _cheapest(layer: list[Point], tokens: tuple[int, int]) -> int:
    """Find the first of the cheapest on a layer: along it, cost falls to it and rises after it."""
    low, high = 0, len(layer) - 1
    while low < high:
        middle = (low + high) >> 1
        here, following = layer[middle], layer[middle + 1]
        saved = (here[1] - following[1]) * tokens[1]
        if saved > (following[0] - here[0]) * tokens[0]:
            low = middle + 1
        else:
            high = middle
    return low


def _lower_left(points: Iterable[Point]) -> list[Point]:
    """Return the corners that are cheapest for some request, by rising input price.

    Andrew's monotone chain ("Another efficient algorithm for convex hulls in two dimensions",
    1979), of which only the part is needed where the output price falls.

    Args:
        points: Distinct prices in ascending order.
    """
    chain: list[Point] = []
    for point in points:
        if chain and point[1] >= chain[-1][1]:
            continue
        while len(chain) > 1 and _turn(chain[-2], chain[-1], point) <= 0:
            chain.pop()
        chain.append(point)
    return chain


def _lies_above(layer: list[Point], point: Point) -> bool:
    """Whether a price makes no difference to a layer: it is above its line, or within it."""
    place = bisect_left(layer, point)
    if place == 0:
        return False
    if place == len(layer):
        return point[1] >= layer[-1][1]
    return point != layer[place] and _turn(layer[place - 1], layer[place], point) >= 0


def _turn(first: Point, second: Point, third: Point) -> int:
    """Positive where the way over three points turns to the left, 0 where it is straight."""
    run, rise = second[0] - first[0], second[1] - first[1]
    return run * (third[1] - first[1]) - rise * (third[0] - first[0])
