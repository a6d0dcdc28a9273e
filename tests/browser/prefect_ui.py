"""A person's ways through the two UIs that a Prefect server has, with the system's Chromium."""

import contextlib
import shutil
from collections.abc import Iterator
from typing import Self

from playwright.sync_api import Browser, ConsoleMessage, Page, Response, Route, sync_playwright

NEWER, OLDER = "v2", "v1"
PLACES = {NEWER: "/v2", OLDER: ""}
NAMES = ("chromium", "chromium-browser", "google-chrome")
# The graph of a run is drawn by WebGL, here without a graphics card.
SWITCHES = ["--disable-gpu", "--disable-quic", "--disable-sync", "--enable-unsafe-swiftshader"]
SIZE = 1440, 1000
PATIENCE_MS, REST_MS = 30_000, 400


class NoBrowserError(Exception):
    """Tell, in one line, that there is no Chromium and what to do about it."""


def chromium() -> str:
    """Give the path of the system's Chromium; raise NoBrowserError where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise NoBrowserError(
            f"none of {', '.join(NAMES)} is on the PATH: install Chromium (on Debian, apt-get install chromium)"
        )
    return found


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Start Chromium without a window, with a profile of its own; end it."""
    path = chromium()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=SWITCHES)
        try:
            yield started
        finally:
            started.close()


class PrefectUi:
    """One of the two UIs, in a page of its own that asks nobody but the Prefect server.

    `faults` gathers what a browser complains of: errors of scripts, and answers of the server that are errors.
    """

    def __init__(self, page: Page, address: str, version: str) -> None:
        """Take a page that is set up for a UI; `opened` sets one up."""
        self.page = page
        self.faults: list[str] = []
        self._base = address + PLACES[version]
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._heard)
        page.on("response", self._answered)

    @classmethod
    @contextlib.contextmanager
    def opened(cls, browser: Browser, address: str, version: str, size: tuple[int, int] = SIZE) -> Iterator[Self]:
        """Open a page, so many pixels wide and high, on a UI of the server at `http://127.0.0.1:4200`; close it."""
        width, height = size
        context = browser.new_context(
            viewport={"width": width, "height": height}, timezone_id="Etc/UTC", locale="en-US", reduced_motion="reduce"
        )
        with contextlib.closing(context):
            context.set_default_timeout(PATIENCE_MS)
            # What the button "Switch to V1 UI" leaves.
            context.add_cookies([{"name": "prefect_ui_version", "value": version, "url": address}])
            context.route(lambda url: not url.startswith(address), _refuse)
            yield cls(context.new_page(), address, version)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.faults.append(message.text)

    def _answered(self, response: Response) -> None:
        # Both UIs ask for icons that Prefect doesn't ship.
        if not response.ok and response.status != 304 and not response.url.endswith(".svg"):
            self.faults.append(f"{response.status} {response.url}")

    def open(self, place: str) -> None:
        """Open a place, `/artifacts`."""
        self.page.goto(self._base + place)

    def click(self, text: str) -> None:
        """Click on the first thing that is called so."""
        self.page.get_by_text(text, exact=True).first.click()

    def open_newest(self, key: str) -> None:
        """Go from the list of all artifacts to the newest of a key, and wait until it is drawn."""
        self.open("/artifacts")
        self.click(key)
        self.page.wait_for_url(f"**/artifacts/key/{key}")
        self.page.locator("a[href*='/artifacts/artifact/']").first.click()
        self.page.wait_for_url("**/artifacts/artifact/**")
        self._await_artifact()

    def open_artifact(self, identity: str) -> None:
        """Open an artifact by its own id, and wait until it is drawn."""
        self.open(f"/artifacts/artifact/{identity}")
        self._await_artifact()

    def _await_artifact(self) -> None:
        self.page.locator("h1, table").first.wait_for()
        self._await_rest()

    def _await_rest(self) -> None:
        """Wait until the pictures are there and the page stays what it is: it is drawn more than once."""
        self.page.wait_for_function(
            """() => {
                const before = window.seen
                window.seen = document.body.innerText
                return window.seen === before && [...document.images].every(image => image.complete)
            }""",
            polling=REST_MS,
        )

    def open_form(self, deployment: str) -> None:
        """Go from the list of all deployments to the form of a run with parameters of one's own."""
        self.open("/deployments")
        self.page.get_by_role("link", name=deployment, exact=True).first.click()
        self.page.get_by_role("button", name="Run", exact=True).first.click()
        self.click("Custom run")
        self.page.get_by_role("button", name="Submit").wait_for()
        self.page.locator("textarea").first.wait_for()
        self._await_rest()

    def open_run(self, identity: str, tab: str) -> None:
        """Open a run's page at one of its tabs."""
        self.open(f"/runs/flow-run/{identity}")
        self.click_tab(tab)

    def click_tab(self, name: str) -> None:
        """Click on a tab of a run's page: the menu at its left, which comes before, has some of the same names."""
        self.page.get_by_text(name, exact=True).last.click()

    def open_message(self, identity: str) -> None:
        """Open what a run says of its state, the whole of it."""
        self.open_run(identity, "Details")
        self.page.get_by_text("State Message", exact=True).first.wait_for()
        self._await_rest()
        more = self.page.get_by_text("See More", exact=True)
        if more.count():
            more.click()

    def lines(self) -> list[str]:
        """Give the page's text as it is seen, line by line, without the empty ones."""
        return [line.strip() for line in self.page.inner_text("body").splitlines() if line.strip()]

    def tables(self) -> list[list[list[str]]]:
        """Give the cells of every table: tables, rows, texts."""
        return self.page.locator("table").evaluate_all(
            """tables => tables.map(
                table => [...table.rows].map(row => [...row.cells].map(cell => cell.innerText.trim()))
            )"""
        )

    def pictures(self) -> list[int]:
        """Give the natural width of every embedded picture in pixels; 0 for one that can't be drawn."""
        return self.page.locator("img[src^='data:']").evaluate_all("images => images.map(image => image.naturalWidth)")

    def cut_off(self) -> list[str]:
        """Give the beginning of every table that is wider than its place, so that one has to scroll to see it all."""
        return self.page.locator("table").evaluate_all(
            """tables => tables.filter(table => {
                for (let box = table; box !== document.body; box = box.parentElement)
                    if (box.scrollWidth > box.clientWidth + 1) return true
                return false
            }).map(table => table.innerText.slice(0, 40))"""
        )


def _refuse(route: Route) -> None:
    route.abort()
