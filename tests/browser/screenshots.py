"""Take the README's pictures anew, of runs on MNIST in the newer Prefect UI: `make screenshots`, minutes of work."""

import io
import sys
import tempfile
from pathlib import Path

import httpx
import serving
from PIL import Image
from playwright.sync_api import Locator
from prefect_ui import NEWER, NoBrowserError, PrefectUi, browser
from samples import ROOT

DOCS = ROOT / "docs"
RUNS = {"another seed": {"seed": 1}, "a third": {"seed": 2}, "make train": {}, "the other network": {"network": "cnn"}}
REPORTED = "make train"
WIDTH, MARGIN = 1300, 24
COLORS = 256


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
        with PrefectUi.opened(chromium, str(api.base_url).removesuffix("/api/"), NEWER, WIDTH) as ui:
            return {
                "report": of_report(ui, report),
                "leaderboard": of_newest(ui, "leaderboard", "table"),
                "history": of_newest(ui, "history", "table"),
                "form": of_form(ui),
            }


def reports(api: httpx.Client, store: Path) -> dict[str, str]:
    """Run the deployment as often as there are RUNS; give the id of each run's report."""
    found = {}
    for name, overrides in RUNS.items():
        print(f"training: {name}", flush=True)
        run = serving.run(api, "train/retrain", {"store": str(store), "overrides": overrides})
        if run["state_type"] != "COMPLETED":
            sys.exit(f"error: a run ended as {run['state_name']}: {run['state']['message']}")
        wanted = {"flow_runs": {"id": {"any_": [run["id"]]}}, "artifacts": {"key": {"any_": ["training-report"]}}}
        (artifact,) = api.post("/artifacts/filter", json=wanted).raise_for_status().json()
        found[name] = artifact["id"]
    return found


def of_report(ui: PrefectUi, artifact: str) -> bytes:
    """Take the beginning of a report, as far as its first picture."""
    ui.open_artifact(artifact)
    return taken_down_to(ui, ui.page.locator("img[src^='data:']").first)


def of_newest(ui: PrefectUi, key: str, last: str) -> bytes:
    """Take the newest artifact of a key, as far as the first of what a selector names."""
    ui.open_newest(key)
    return taken_down_to(ui, ui.page.locator(last).first)


def of_form(ui: PrefectUi) -> bytes:
    """Take the beginning of the form of parameters."""
    ui.open_form("retrain")
    return taken_down_to(ui, ui.page.get_by_text("Rows a step.", exact=False).first)


def taken_down_to(ui: PrefectUi, last: Locator) -> bytes:
    """Take the page without its menu, from its top to the bottom of an element, with few colours to be small."""
    left = ui.page.locator("main").bounding_box()["x"]
    bottom = last.bounding_box()
    height = bottom["y"] + bottom["height"] + MARGIN
    clip = {"x": left, "y": 0, "width": WIDTH - left, "height": height}
    picture = Image.open(io.BytesIO(ui.page.screenshot(clip=clip, full_page=True)))
    small = io.BytesIO()
    picture.convert("RGB").quantize(COLORS).save(small, "png", optimize=True)
    return small.getvalue()


if __name__ == "__main__":
    main()
