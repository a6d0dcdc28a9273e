"""Navigate the two UIs of a Prefect server with the system's Chromium."""

import contextlib
import shutil
from collections.abc import Iterator
from typing import Self

from playwright.sync_api import Browser, ConsoleMessage, Error, Locator, Page, Response, Route, sync_playwright

NEWER, OLDER = "v2", "v1"
PATHS = {NEWER: "/v2", OLDER: ""}
EXECUTABLES = ("chromium", "chromium-browser", "google-chrome")
# A run's graph is drawn by WebGL; there is no graphics card.
SWITCHES = ["--disable-gpu", "--disable-quic", "--disable-sync", "--enable-unsafe-swiftshader"]
SIZE = 1440, 1000
TIMEOUT_MS, POLL_MS = 30_000, 400
ATTEMPTS = 3


class NoBrowserError(Exception):
    """Chromium isn't installed."""


def chromium() -> str:
    """Return the path of the system's Chromium, or raise NoBrowserError."""
    path = next(filter(None, map(shutil.which, EXECUTABLES)), None)
    if path is None:
        raise NoBrowserError(
            f"none of {', '.join(EXECUTABLES)} is on the PATH: install Chromium (on Debian, apt-get install chromium)"
        )
    return path


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Run headless Chromium with a temporary profile."""
    path = chromium()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=SWITCHES)
        try:
            yield started
        finally:
            started.close()


class PrefectUi:
    """One of the two UIs, in a page that may send requests only to the Prefect server.

    `faults` collects script errors and the server's error responses.
    """

    def __init__(self, page: Page, address: str, version: str) -> None:
        self.page = page
        self.faults: list[str] = []
        self._base = address + PATHS[version]
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._on_console)
        page.on("response", self._on_response)

    @classmethod
    @contextlib.contextmanager
    def opened(
        cls, browser: Browser, address: str, version: str, password: str = "", size: tuple[int, int] = SIZE
    ) -> Iterator[Self]:
        """Open a page for a UI of the server at an address such as `http://127.0.0.1:4200`.

        A password such as `admin:…` is entered already, as after the first visit.
        """
        width, height = size
        context = browser.new_context(
            viewport={"width": width, "height": height}, timezone_id="Etc/UTC", locale="en-US", reduced_motion="reduce"
        )
        with contextlib.closing(context):
            context.set_default_timeout(TIMEOUT_MS)
            # The button "Switch to V1 UI" sets this cookie.
            context.add_cookies([{"name": "prefect_ui_version", "value": version, "url": address}])
            context.route(lambda url: not url.startswith(address), _refuse)
            if password:  # where both UIs keep it
                context.add_init_script(f"localStorage.setItem('prefect-password', btoa('{password}'))")
            yield cls(context.new_page(), address, version)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.faults.append(message.text)

    def _on_response(self, response: Response) -> None:
        # Both UIs request icons that Prefect doesn't ship.
        if not response.ok and response.status != 304 and not response.url.endswith(".svg"):
            self.faults.append(f"{response.status} {response.url}")

    def open(self, path: str) -> None:
        """Open a path such as `/artifacts`."""
        self.page.goto(self._base + path)

    def click(self, text: str) -> None:
        """Click on the first element with the text."""
        self.page.get_by_text(text, exact=True).first.click()

    def open_newest(self, key: str) -> None:
        """Open the newest artifact of a key by way of the list of all artifacts, and wait until it is drawn."""
        self.open("/artifacts")
        self.click(key)
        self.page.wait_for_url(f"**/artifacts/key/{key}")
        self.page.locator("a[href*='/artifacts/artifact/']").first.click()
        self.page.wait_for_url("**/artifacts/artifact/**")
        self._wait_for_artifact()

    def open_artifact(self, artifact_id: str) -> None:
        """Open an artifact, and wait until it is drawn."""
        self.open(f"/artifacts/artifact/{artifact_id}")
        self._wait_for_artifact()

    def _wait_for_artifact(self) -> None:
        self.page.locator("h1, table").first.wait_for()
        self._wait_until_stable()

    def _wait_until_stable(self) -> None:
        """Wait until all pictures are loaded and the page no longer changes; it is drawn more than once."""
        self.page.wait_for_function(
            """() => {
                const before = window.seen
                window.seen = document.body.innerText
                return window.seen === before && [...document.images].every(image => image.complete)
            }""",
            polling=POLL_MS,
        )

    def open_form(self, deployment: str) -> None:
        """Open the form of a custom run by way of the list of all deployments."""
        self.open("/deployments")
        self.page.get_by_role("link", name=deployment, exact=True).first.click()
        self.page.get_by_role("button", name="Run", exact=True).first.click()
        self.click("Custom run")
        self.page.get_by_role("button", name="Submit").wait_for()
        self.page.locator("textarea").first.wait_for()
        self._wait_until_stable()

    def form_field(self, title: str) -> Locator:
        """Return the number field below a title of the form."""
        return self.page.get_by_text(f"{title} (Optional)", exact=True).locator("xpath=following::input[1]")

    def open_run(self, run_id: str, tab: str, text: str) -> None:
        """Open a tab of a run's page, and wait for a text in it.

        On a busy machine, the older UI may lose the click while it draws the page: then open it again.
        """
        for attempt in range(1, ATTEMPTS + 1):
            self.open(f"/runs/flow-run/{run_id}")
            self.page.get_by_text(tab, exact=True).last.wait_for()
            self._wait_until_stable()
            # The menu, earlier in the page, has some of the tabs' names.
            self.page.get_by_text(tab, exact=True).last.click()
            try:
                self.page.get_by_text(text, exact=True).first.wait_for()
                break
            except Error:
                if attempt == ATTEMPTS:
                    raise

    def open_message(self, run_id: str) -> None:
        """Open the complete message of a run's state."""
        self.open_run(run_id, "Details", "State Message")
        self._wait_until_stable()
        more = self.page.get_by_text("See More", exact=True)
        if more.count():
            more.click()

    def lines(self) -> list[str]:
        """Return the visible lines of text, without empty ones."""
        return [line.strip() for line in self.page.inner_text("body").splitlines() if line.strip()]

    def tables(self) -> list[list[list[str]]]:
        """Return the texts of all cells, by table and row."""
        return self.page.locator("table").evaluate_all(
            """tables => tables.map(
                table => [...table.rows].map(row => [...row.cells].map(cell => cell.innerText.trim()))
            )"""
        )

    def pictures(self) -> list[int]:
        """Return the natural width of every embedded picture in pixels; 0 for one that can't be drawn."""
        return self.page.locator("img[src^='data:']").evaluate_all("images => images.map(image => image.naturalWidth)")

    def clipped_tables(self) -> list[str]:
        """Return the beginning of every table that is too wide to be seen without scrolling."""
        return self.page.locator("table").evaluate_all(
            """tables => tables.filter(table => {
                for (let box = table; box !== document.body; box = box.parentElement)
                    if (box.scrollWidth > box.clientWidth + 1) return true
                return false
            }).map(table => table.innerText.slice(0, 40))"""
        )


def _refuse(route: Route) -> None:
    route.abort()
