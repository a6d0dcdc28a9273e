"""Take the README's pictures anew, of runs on MNIST in the newer Prefect UI: `make screenshots`, minutes of work."""

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
REPORTED = "as make train does"
WIDTH, WIDE, HEIGHT = 1300, 1700, 2000  # high enough for the menu to reach below every picture
MARGIN = 12


def main() -> None:
    """Train, look, and only when all pictures are there replace the old ones."""
    try:
        pictures = taken()
    except NoBrowserError as error:
        sys.exit(f"error: {error}")
    for name, picture in pictures.items():
        path = DOCS / f"{name}.png"
        path.write_bytes(picture)
        print(f"{path.relative_to(ROOT)}: {len(picture) / 1024:.0f} KiB")


def taken() -> dict[str, bytes]:
    """Give the pictures as PNGs by name."""
    with tempfile.TemporaryDirectory() as folder, browser() as chromium, serving.served(Path(folder)) as api:
        report = reports(api, Path(folder) / "store")[REPORTED]
        with PrefectUi.opened(chromium, str(api.base_url).removesuffix("/api/"), NEWER, (WIDTH, HEIGHT)) as ui:
            return {
                "report": of_report(ui, report),
                "form": of_form(ui),
                "history": of_history(ui),
                "leaderboard": of_leaderboard(ui),
            }


def reports(api: httpx.Client, store: Path) -> dict[str, str]:
    """Run the deployment as often as there are RUNS; give the id of each run's report."""
    found = {}
    for name, parameters in RUNS.items():
        print(f"training: {name}", flush=True)
        run = serving.run(api, "train/retrain", parameters | {"store": str(store), "inbox": None})
        if run["state_type"] != "COMPLETED":
            sys.exit(f"error: a run ended as {run['state_name']}: {run['state']['message']}")
        wanted = {"flow_runs": {"id": {"any_": [run["id"]]}}, "artifacts": {"key": {"any_": ["training-report"]}}}
        (artifact,) = api.post("/artifacts/filter", json=wanted).raise_for_status().json()
        found[name] = artifact["id"]
    return found


def of_report(ui: PrefectUi, artifact: str) -> bytes:
    """Take a whole page, menu and all, as far as the decision goes."""
    ui.open_artifact(artifact)
    return taken_above(ui, ui.page.get_by_role("heading", name="Confusion matrix"), 0, WIDTH)


def of_form(ui: PrefectUi) -> bytes:
    """Take the beginning of the form of parameters."""
    ui.open_form("retrain")
    return taken_above(ui, ui.page.get_by_text("Batch Size (Optional)"), edges(ui, "form")[0], WIDTH)


def of_history(ui: PrefectUi) -> bytes:
    """Take the plot and the table beneath it, without what stands to the right of them."""
    ui.open_newest("history")
    return taken_above(ui, ui.page.get_by_role("button", name="Show Raw Data"), *edges(ui, "table"))


def of_leaderboard(ui: PrefectUi) -> bytes:
    """Take the table, in a window where all of its columns have room."""
    ui.page.set_viewport_size({"width": WIDE, "height": HEIGHT})
    ui.open_newest("leaderboard")
    return taken_above(ui, ui.page.get_by_text("Items per page"), *edges(ui, "table"))


def edges(ui: PrefectUi, selector: str) -> tuple[float, float]:
    """Give the left and the right edge of the first element of a kind, with a margin, in pixels."""
    found = ui.page.locator(selector).first
    found.wait_for()
    box = found.bounding_box()
    return box["x"] - MARGIN, box["x"] + box["width"] + MARGIN


def taken_above(ui: PrefectUi, end: Locator, left: float, right: float) -> bytes:
    """Take the page between two edges, from its top down to an element."""
    end.wait_for()
    clip = {"x": left, "y": 0, "width": right - left, "height": end.bounding_box()["y"] - MARGIN}
    return ui.page.screenshot(clip=clip, full_page=True)


if __name__ == "__main__":
    main()
