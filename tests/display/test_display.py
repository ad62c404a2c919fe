"""What a notebook is given for each class, as text and as HTML."""

from html.parser import HTMLParser
from random import Random
from typing import Any

import pytest
from IPython.core.formatters import DisplayFormatter

from capability_router import (
    Attempt,
    CapabilityPool,
    CapabilityRouter,
    CapabilityTree,
    CompletionRequest,
    Cooldown,
    Decision,
    EventEmitter,
    FailureKind,
    Model,
    Outcome,
    Price,
    RotationPolicy,
    StandbyState,
    Usage,
)
from capability_router.display.blocks import Page, Table
from capability_router.display.views import MOST_NODES, MOST_ROWS, standing
from capability_router.engine.displaying import Displayed
from capability_router.engine.timing import World
from capability_router.testing.clock import ManualClock

LISTS = {"details", "summary", "ul", "li"}
TABLES = {"table", "thead", "tbody", "tr", "th", "td"}
STRANGE = "a/<script>alert('&')</script>\x1b[31m"


def forms(item: object) -> tuple[str, str]:
    """Return what a notebook would show: text and HTML."""
    formatter: Any = DisplayFormatter()
    bundle, _ = formatter.format(item)
    return bundle["text/plain"], bundle["text/html"]


class Elements(HTMLParser):
    """The elements of a fragment, which have to be closed in their order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.met: set[str] = set()
        self.words: list[str] = []
        self.attributes: set[str] = set()
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.met.add(tag)
        self.attributes.update(f"{name}={value}" for name, value in attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def pool_of(*ids: str) -> tuple[CapabilityPool, ManualClock]:
    clock = ManualClock()
    policy = RotationPolicy(recovery=Cooldown(jitter=0.0))
    world = World(clock, Random(1))
    pool = CapabilityPool("text", "text-generation", policy, EventEmitter(), world=world)
    for each in ids:
        pool.add_model(Model(each, ("chat-completion",)))
    return pool, clock


def router_of(*ids: str) -> CapabilityRouter:
    router = CapabilityRouter(clock=ManualClock(), seed=1)
    router.add_pool("text", "text-generation")
    for each in ids:
        router.register(Model(each, ("chat-completion",)))
    return router


def everything() -> list[object]:
    router = router_of("a/x")
    router.call("chat-completion", lambda model: model.name)
    decision = router.decisions[-1]
    return [
        CapabilityTree(),
        pool_of("a/x")[0],
        Model("a/x", ("chat-completion",)),
        decision,
        router.statistics(),
        router_of("a/x"),
        Table(("name",), [("value",)]),
        Page("head", (Table(("name",), [("value",)]),), omitted=2),
    ]


@pytest.mark.parametrize("item", everything(), ids=lambda item: type(item).__name__)
def test_html_is_whole_and_has_neither_script_nor_colour(item: object) -> None:
    elements = Elements(forms(item)[1])
    assert elements.met <= LISTS | TABLES | {"p", "strong"}
    assert {a for a in elements.attributes if "text-align: left" not in a} <= {
        "open=None",
        "scope=col",
    }


@pytest.mark.parametrize("item", everything(), ids=lambda item: type(item).__name__)
def test_html_says_every_word_of_the_text(item: object) -> None:
    text, html = forms(item)
    assert set(text.split()) <= set(" ".join(Elements(html).words).split())


def test_tree_is_shown_whole_as_indented_text_and_as_nested_lists() -> None:
    tree = CapabilityTree()
    text, html = forms(tree)
    assert text == str(tree)
    assert html.startswith("<details open><summary>generation</summary><ul><li><details open>")
    assert html.count("<summary>") == sum(bool(node.children) for node in tree)


def test_large_tree_is_cut_and_the_rest_counted() -> None:
    tree = CapabilityTree.from_mapping({"big": [f"leaf-{n}" for n in range(MOST_NODES + 9)]})
    text, html = forms(tree)
    assert text.splitlines()[-1] == "… and 10 more"
    assert "… and 10 more" in html
    assert f"leaf-{MOST_NODES - 2}" in text
    assert f"leaf-{MOST_NODES - 1}" not in text


def test_pool_tells_of_each_model_how_it_stands() -> None:
    pool, clock = pool_of("a/x", "b/y", "c/z")
    pool.deactivate(Model("b/y", ("chat-completion",)), "manual")
    pool.deactivate(Model("c/z", ("chat-completion",)), "rate_limited")
    (until,) = (state.until for state in pool.get_standby() if state.until is not None)
    clock.advance(until - 1.0)
    text, html = forms(pool)
    heading = "Pool text of generation.text-generation: 1 active, 2 on standby"
    assert text.splitlines() == [
        heading,
        "model  state",
        "a/x    ● active",
        "b/y    ○ standby until recovered: manual",
        "c/z    ○ standby, 1.0 s left: rate_limited",
    ]
    assert "● active</td>" in html


@pytest.mark.parametrize(
    ("until", "on_trial", "told"),
    [
        (42.0, False, "○ standby, 42 s left: rate_limited"),
        (0.0, False, "◐ probe due: rate_limited"),
        (0.0, True, "◐ on trial: rate_limited"),
        (None, False, "○ standby until recovered: rate_limited"),
    ],
)
def test_standing_is_a_sign_and_words(until: float | None, on_trial: bool, told: str) -> None:
    assert standing(StandbyState("a/x", "rate_limited", 0.0, until, on_trial), 0.0) == told


def test_large_pool_and_its_router_are_cut_and_the_rest_counted() -> None:
    ids = [f"a/{n}" for n in range(MOST_ROWS + 7)]
    for item in (pool_of(*ids)[0], router_of(*ids)):
        assert "… and 7 more" in forms(item)[0]
        assert "… and 7 more" in forms(item)[1]


def test_names_and_reasons_of_strangers_are_escaped() -> None:
    pool, _ = pool_of(STRANGE)
    pool.deactivate(Model(STRANGE, ("chat-completion",)), "<b>why</b>")
    for item in (pool, router_of(STRANGE), Model(STRANGE, ("chat-completion",))):
        text, html = forms(item)
        assert "<script" not in html
        assert "<b>" not in html
        assert "&lt;script&gt;alert(&#x27;&amp;&#x27;)" in html
        assert "\x1b" not in text + html


def test_model_shows_what_is_known_of_it() -> None:
    model = Model("a/x", ("ocr",), context_window=8192, price=Price(0.15, 0.6))
    assert forms(model)[0].splitlines() == [
        "Model a/x",
        "fact            value",
        "provider        a",
        "name            x",
        "capabilities    ocr",
        "context window  8,192 tokens",
        "price           $ 0.15 in, $ 0.6 out for a million tokens",
    ]


def test_decision_shows_every_attempt_and_its_end() -> None:
    attempts = (
        Attempt("a/x", "a", FailureKind.OVERLOADED, 503, 0.25, probe=True),
        Attempt("b/y", "b", latency_s=0.5, usage=Usage(7, 8), cost_usd=0.000012),
    )
    text, _ = forms(Decision("ocr", 1.0, "b/y", "text", attempts, panic=True))
    assert text.splitlines() == [
        "ocr → b/y, tried before its time",
        "attempt  model  end                      took    tokens  US dollars  how",
        "1        a/x    ○ overloaded (HTTP 503)  0.25 s  0 + 0               trial",
        "2        b/y    ● served                 0.50 s  7 + 8   0.000012",
    ]


def test_decision_shows_who_else_could_have_served_and_why_not() -> None:
    router = router_of("a/x", "b/y")
    router.deactivate("a/x", "manual")
    why = "manual, until recovered by hand"
    assert forms(router.explain("chat-completion"))[0].splitlines() == [
        "chat-completion → b/y",
        "text by stick-until-failure  state      score  in flight  used  why",
        f"a/x                          ○ standby         0          0%    {why}",
        "b/y                          ● active          0          0%    ● chosen: strategy",
    ]


def test_router_counts_what_its_models_did() -> None:
    router = router_of("a/x")
    router.call("chat-completion", lambda model: model.name)
    assert forms(router)[0].splitlines() == [
        "Router of 1 model in 1 pool",
        "pool  node                        active      standby",
        "text  generation.text-generation  ● 1 active  ○ 0 standby",
        "model  capabilities                                answers  failures  in flight",
        "a/x    generation.text-generation.chat-completion  1        0         0",
    ]


def test_router_shows_no_table_of_what_it_has_none_of() -> None:
    router = CapabilityRouter()
    assert forms(router)[0] == "Router of 0 models in 0 pools"
    router.register(Model("a/x", ("chat-completion",)))
    heads = [line.split()[0] for line in forms(router)[0].splitlines()]
    assert heads == ["Router", "model", "a/x"]


def test_what_has_no_view_of_its_own_is_shown_as_its_text() -> None:
    class Plain(Displayed):
        def __str__(self) -> str:
            return "plain & simple"

    assert forms(Plain()) == ("plain & simple", "<p><strong>plain &amp; simple</strong></p>")


def test_row_that_does_not_fit_its_table_is_refused() -> None:
    with pytest.raises(ValueError, match="has to have 2 cells"):
        Table(("a", "b"), [("only one",)])


def test_statistics_are_a_table_for_each_kind_of_subject() -> None:
    router = router_of("a/x", "b/y")
    request = CompletionRequest("chat-completion")
    for _ in range(1200):
        router.report(router.select(request), Outcome(usage=Usage(2, 1), latency_s=1.0))
    router.report(router.select(request), Outcome.failed(FailureKind.AUTH))
    router.clock.sleep(90.0)
    text, html = forms(router.statistics())
    head, *lines = text.splitlines()
    cells = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines]
    assert head == "Statistics: 1,200 answers by 2 models"
    subjects = ["a/x", "b/y", "provider", "a", "b", "pool", "text"]
    assert [row[0] for row in cells] == ["model", *subjects]
    assert cells[1][1:6] == ["1,201", "1,200", "1 auth", "2,400 + 1,200", "0.000000"]
    assert cells[1][6:] == ["1 s", "0.995 s", "0.995 s", "1", "1 min 30 s"]
    assert cells[2][1:] == ["0", "0", "0 + 0", "0.000000", "0"]
    assert html.count("<table>") == 3
