"""The live page in a real Chromium, as a person sees and uses it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest

from capability_router import CapabilityRouter, Model, NoAvailableModelError
from capability_router.watching import page as live_page
from capability_router.watching.page import LivePage, serve_page

IN_CI = os.environ.get("CI") == "true"
if not IN_CI:
    # Of the test group; where it is missing in CI, that is a failure and not a reason to skip.
    pytest.importorskip("playwright.sync_api")

from playwright.sync_api import (  # noqa: E402 - see above
    Browser,
    ConsoleMessage,
    Error,
    Page,
    expect,
    sync_playwright,
)

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HTML = Path(live_page.__file__).with_name("page.html").read_text("utf-8")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        told = "no chromium is installed; .ci/chromium installs Debian's"
        if IN_CI:
            pytest.fail(told)
        pytest.skip(told)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


ColorScheme = Literal["light", "dark"]
Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens an address at a size and in a colour scheme; what the console complains of fails."""
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(message.text)

    def crash(error: Error) -> None:
        complaints.append(str(error))

    def opened(url: str, width: int = 1400, scheme: ColorScheme = "light") -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", crash)
        page.goto(url)
        expect(page.locator("#status")).to_contain_text("live")
        return page

    yield opened
    for context in browser.contexts:
        context.close()
    # That the server is away for a while is what one of the tests is about.
    assert [text for text in complaints if "ERR_CONNECTION_REFUSED" not in text] == []


@pytest.fixture
def router() -> CapabilityRouter:
    return many(3)


def many(models: int) -> CapabilityRouter:
    router = CapabilityRouter()
    for number in range(models):
        router.register(Model(f"a/model-{number}", ("chat-completion",)))
    router.add_pool("text", "text-generation")
    return router


@pytest.fixture
def served(router: CapabilityRouter) -> Iterator[LivePage]:
    with serve_page(router) as page:
        yield page


@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_hundred_models_fit_any_screen(open_page: Open, width: int, scheme: ColorScheme) -> None:
    router = many(100)
    router.deactivate("a/model-42", "billing")
    with serve_page(router) as served:
        page = open_page(served.url, width, scheme)
        expect(page.get_by_text("99 of 100 models active")).to_be_visible()
        rows = page.get_by_role("table", name="Models of the pool text").get_by_role("row")
        # What needs attention stands first, below the heads of the columns where there are any.
        expect(rows.filter(has_text="model-").first).to_contain_text("model-42")
        expect(rows.filter(has_text="model-")).to_have_count(100)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(15, 19, 24)"}[scheme]


def test_what_happens_is_seen_without_a_reload(
    open_page: Open, served: LivePage, router: CapabilityRouter
) -> None:
    page = open_page(served.url)
    expect(page.get_by_text("No call has ended yet.")).to_be_visible()
    router.call("chat-completion", lambda model: model.id)
    expect(page.locator("#decisions li")).to_contain_text("chat-completion → a/model-0")
    router.deactivate("a/model-1", "billing")
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="a/model-1"))
    expect(row).to_contain_text("standby")
    expect(row).to_contain_text("billing, next try in")
    newest = page.locator("#events li")
    expect(newest.nth(0)).to_contain_text("a has changed in health")
    expect(newest.nth(1)).to_contain_text("a/model-1 is on standby")
    expect(newest.nth(1)).to_contain_text("ago")
    expect(page.locator("#summary")).to_contain_text("2 active")
    router.recover("a/model-1")
    expect(row).to_contain_text("active")
    router.unregister("a/model-1")
    expect(row).to_have_count(0)


def test_a_failed_call_tells_what_was_tried(
    open_page: Open, served: LivePage, router: CapabilityRouter
) -> None:
    page = open_page(served.url)
    for model in router.models:
        router.deactivate(model.id)
    with pytest.raises(NoAvailableModelError):
        router.call("chat-completion", lambda model: model.id)
    expect(page.locator("#decisions li")).to_contain_text("chat-completion → nobody")


def test_a_decision_opens_to_its_candidates_and_stays_open(
    open_page: Open, served: LivePage, router: CapabilityRouter
) -> None:
    page = open_page(served.url, 390)
    router.deactivate("a/model-0", "billing")
    router.call("chat-completion", lambda model: model.id)
    decision = page.locator("#decisions li").filter(has_text="a/model-1")
    candidates = decision.get_by_role("table", name="Candidates of the pool")
    expect(candidates).to_have_count(0)
    decision.get_by_text("Candidates").click()
    expect(candidates).to_be_visible()
    rows = candidates.get_by_role("row")
    expect(rows.filter(has_text="a/model-0")).to_contain_text("standby")
    expect(rows.filter(has_text="a/model-0")).to_contain_text("billing")
    expect(rows.filter(has_text="a/model-1")).to_contain_text("chosen: the strategy")
    expect(rows.filter(has_text="a/model-2")).to_contain_text("could have served")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    router.call("chat-completion", lambda model: model.id)
    expect(page.locator("#decisions li")).to_have_count(2)
    expect(candidates).to_be_visible()


def test_names_and_reasons_are_text_and_never_markup(
    open_page: Open, served: LivePage, router: CapabilityRouter
) -> None:
    evil = "<img src=x onerror=document.title='broken'>"
    router.register(Model(f"a/{evil}", ("chat-completion",)))
    page = open_page(served.url)
    router.deactivate(f"a/{evil}", f"<b>{evil}</b>")
    expect(page.get_by_role("rowheader", name=evil)).to_be_visible()
    expect(page.locator("#events li").filter(has_text="is on standby")).to_contain_text(
        f"<b>{evil}</b>"
    )
    assert page.locator("img, #events b").count() == 0
    assert page.title() == "capability_router"


def test_the_page_finds_its_way_back_and_heals_the_gap(
    open_page: Open, router: CapabilityRouter
) -> None:
    served = serve_page(router)
    port = urlsplit(served.url).port
    assert port is not None
    page = open_page(served.url)
    served.close()
    expect(page.locator("#status")).to_contain_text("not connected")
    router.deactivate("a/model-2")
    with serve_page(router, port=port):
        expect(page.locator("#status")).to_contain_text("live", timeout=10_000)
        expect(page.locator("#summary")).to_contain_text("1 on standby")


def test_tabs_that_nobody_sees_leave_the_connections_to_others(
    open_page: Open, served: LivePage, router: CapabilityRouter
) -> None:
    first = open_page(served.url)
    tabs = [first]
    # A browser opens six connections to one host: the seventh tab would never be there.
    for _ in range(7):
        see(tabs[-1], hidden=True)
        tabs.append(first.context.new_page())
        tabs[-1].goto(served.url)
        expect(tabs[-1].locator("#status")).to_contain_text("live")
    router.deactivate("a/model-0")
    expect(tabs[-1].locator("#summary")).to_contain_text("1 on standby")
    expect(first.locator("#summary")).to_contain_text("0 on standby")
    see(first, hidden=False)
    expect(first.locator("#summary")).to_contain_text("1 on standby")


def see(page: Page, *, hidden: bool) -> None:
    """Do to a page what switching tabs does, which pages without a window never are."""
    page.evaluate(
        """(hidden) => {
            Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_it_can_be_used_by_the_keyboard_alone(
    open_page: Open, served: LivePage, router: CapabilityRouter
) -> None:
    router.deactivate("a/model-1")
    page = open_page(served.url)
    models = page.get_by_role("rowheader")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_role("checkbox")).to_be_checked()
    expect(models).to_have_text(["a/model-1"])
    router.recover("a/model-1")
    expect(page.get_by_text("All are active.")).to_be_visible()
    # What arrives meanwhile takes the focus from nobody.
    expect(page.get_by_role("checkbox")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("All are active.")).to_be_hidden()


def test_a_screen_reader_finds_parts_tables_and_the_state_of_the_connection(
    open_page: Open, served: LivePage
) -> None:
    page = open_page(served.url, 390)
    for name in ("Pools", "Decisions", "Events"):
        expect(page.get_by_role("region", name=name)).to_be_attached()
    expect(page.get_by_role("status")).to_have_text(re.compile("live"))
    # Signs are for the eye: the words beside them say the same.
    cell = page.get_by_role("row").filter(has_text="a/model-0").get_by_role("cell", name="active")
    expect(cell).to_have_accessible_name("active")


@pytest.mark.parametrize("scheme", [0, 1])
def test_every_colour_of_text_is_readable_on_the_paper(scheme: int) -> None:
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", HTML.split(":root {")[scheme + 1]))
    paper = luminance(colours["paper"])
    for name in ("ink", "muted", "good", "bad", "trial", "focus"):
        lighter, darker = sorted([luminance(colours[name]), paper], reverse=True)
        # WCAG 2.2, contrast (minimum).
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, name


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
