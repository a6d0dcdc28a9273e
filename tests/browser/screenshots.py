"""Take the README's screenshots, of runs on MNIST in the newer Prefect UI: `make screenshots`, which takes minutes."""

import sys
import tempfile
from pathlib import Path

import httpx
import serving
from playwright.sync_api import Locator
from prefect_ui import NEWER, NoBrowserError, PrefectUi, browser
from samples import ROOT

DOCS = ROOT / "docs"
RUNS = {
    "the plain recipe": {"recipe": "plain"},
    "as make train does": {},
    "with another seed": {"overrides": {"seed": 1}},
    "the other network": {"overrides": {"network": "cnn"}},
}
REPORTED_RUN = "as make train does"
WIDTH, WIDE, HEIGHT = 1300, 1700, 2000  # so high that the menu reaches below every screenshot
MARGIN = 12


def main() -> None:
    """Train, take all screenshots, and only then replace the old ones."""
    try:
        screenshots = take_all()
    except NoBrowserError as error:
        sys.exit(f"error: {error}")
    for name, screenshot in screenshots.items():
        path = DOCS / f"{name}.png"
        path.write_bytes(screenshot)
        print(f"{path.relative_to(ROOT)}: {len(screenshot) / 1024:.0f} KiB")


def take_all() -> dict[str, bytes]:
    """Return the screenshots as PNGs by name."""
    with tempfile.TemporaryDirectory() as folder, browser() as chromium, serving.served(Path(folder)) as api:
        report = train(api, Path(folder) / "store")[REPORTED_RUN]
        address, password = str(api.base_url).removesuffix("/api/"), serving.read_password(Path(folder))
        with PrefectUi.opened(chromium, address, NEWER, password, (WIDTH, HEIGHT)) as ui:
            return {
                "report": report_screenshot(ui, report),
                "form": form_screenshot(ui),
                "history": history_screenshot(ui),
                "leaderboard": leaderboard_screenshot(ui),
            }


def train(api: httpx.Client, store: Path) -> dict[str, str]:
    """Run the deployment with the parameters of each of RUNS; return the id of each run's report."""
    reports = {}
    for name, parameters in RUNS.items():
        print(f"training: {name}", flush=True)
        run = serving.run(api, "train/retrain", parameters | {"store": str(store), "inbox": ""})
        if run["state_type"] != "COMPLETED":
            sys.exit(f"error: a run ended as {run['state_name']}: {run['state']['message']}")
        query = {"flow_runs": {"id": {"any_": [run["id"]]}}, "artifacts": {"key": {"any_": ["training-report"]}}}
        (artifact,) = api.post("/artifacts/filter", json=query).raise_for_status().json()
        reports[name] = artifact["id"]
    return reports


def report_screenshot(ui: PrefectUi, artifact: str) -> bytes:
    """Take the page down to the decision, with the menu."""
    ui.open_artifact(artifact)
    return take_above(ui, ui.page.get_by_role("heading", name="Confusion matrix"), 0, WIDTH)


def form_screenshot(ui: PrefectUi) -> bytes:
    """Take the beginning of the form of parameters, with 20 epochs."""
    ui.open_form("retrain")
    ui.form_field("Epochs").fill("20")
    return take_above(ui, ui.page.get_by_text("Learning Rate (Optional)"), edges(ui, "form")[0], WIDTH)


def history_screenshot(ui: PrefectUi) -> bytes:
    """Take the plot and the table below it, without the column on the right."""
    ui.open_newest("history")
    return take_above(ui, ui.page.get_by_role("button", name="Show Raw Data"), *edges(ui, "table"))


def leaderboard_screenshot(ui: PrefectUi) -> bytes:
    """Take the table in a window wide enough for all columns."""
    ui.page.set_viewport_size({"width": WIDE, "height": HEIGHT})
    ui.open_newest("leaderboard")
    return take_above(ui, ui.page.get_by_text("Items per page"), *edges(ui, "table"))


def edges(ui: PrefectUi, selector: str) -> tuple[float, float]:
    """Return the left and the right edge of the first matching element, with a margin, in pixels."""
    element = ui.page.locator(selector).first
    element.wait_for()
    box = element.bounding_box()
    return box["x"] - MARGIN, box["x"] + box["width"] + MARGIN


def take_above(ui: PrefectUi, end: Locator, left: float, right: float) -> bytes:
    """Take the page between two edges, from its top down to an element."""
    end.wait_for()
    clip = {"x": left, "y": 0, "width": right - left, "height": end.bounding_box()["y"] - MARGIN}
    return ui.page.screenshot(clip=clip, full_page=True)


if __name__ == "__main__":
    main()
