"""How much flows through a network, against every cut of it."""

from __future__ import annotations

from itertools import product
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.linting.flow import largest_flow

NODES = ("source", "a", "b", "c", "sink")
amounts = st.integers(0, 9).map(float) | st.just(inf)
networks = st.dictionaries(
    st.tuples(st.sampled_from(NODES), st.sampled_from(NODES)).filter(lambda e: e[0] != e[1]),
    amounts,
)


@given(networks)
def test_as_much_flows_as_the_least_cut_lets_through(edges: dict[tuple[str, str], float]) -> None:
    cuts = [
        {"source", *(node for node, is_in in zip("abc", chosen, strict=True) if is_in)}
        for chosen in product((True, False), repeat=3)
    ]
    least = min(
        sum(amount for (begin, end), amount in edges.items() if begin in cut and end not in cut)
        for cut in cuts
    )
    assert largest_flow(edges, "source", "sink") == least


@pytest.mark.parametrize("edges", [{}, {("source", "a"): inf}])
def test_nothing_flows_where_no_path_leads_to_the_sink(
    edges: dict[tuple[str, str], float],
) -> None:
    assert largest_flow(edges, "source", "sink") == 0
