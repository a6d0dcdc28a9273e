"""The commands of how-to pages that need no server, no network and no minutes: run in the order of the pages.

They run in this process, on drawn digits, with a quick recipe. Left out are `verify`, which the tutorial's test runs,
and the pages that need minutes or more than a store: kaggle (the same flags, the preset `best`), larger-than-memory (a
million rows), ray, object-store (pip and S3, tested in tests/flows), schedule and team-server (servers, tested in
tests/deployment), notify (tested in test_commands.py).
"""

import re
import shlex

import numpy as np
import pytest
from PIL import Image
from samples import ROOT, draw_digits

from schemas.pixel_frame import labelled_frame

PAGES = ("own-data", "recipes", "predict", "audit", "review", "promote", "mlflow")
QUICK = ["--epochs", "4", "--batch-size", "32", "--learning-rate", "0.01", "--min-accuracy", "0.5"]


def commands(page):
    """Return the words of each command of a page, without the interpreter; `pip` and `export` are left out."""
    lines = [shlex.split(line) for block in code(page, "sh") for line in block.splitlines()]
    return [words[1:] for words in lines if words[0] == ".venv/bin/python"]


def code(page, language):
    """Return the blocks of a page in a language."""
    text = (ROOT / "docs" / "how-to" / f"{page}.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def flow_and_flags(words):
    """Return a command's flow and flags; trainings and audits are made quick, on the digits of the first page."""
    flow = words[0].removeprefix("flows/").removesuffix("_flow.py")
    flags = words[1:]
    if flow == "train":
        defaults = {"--source": "digits.csv", "--recipe": "plain"}
        flags += [word for flag in defaults if flag not in flags for word in (flag, defaults[flag])]
        flags += QUICK
    if flow == "audit":
        flags += ["--folds", "2"]
    return flow, flags


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Go to a folder with the files that the pages name."""
    for name, rows in (("digits.csv", 600), ("test.csv", 200)):
        labelled_frame(*draw_digits(rows, seed=rows)).to_csv(tmp_path / name, index=False)
    pixels, labels = draw_digits(800, seed=3)
    np.savez(tmp_path / "scans.npz", x=255 - pixels.swapaxes(1, 2), y=labels)
    (tmp_path / "scans").mkdir()
    for number, picture in enumerate(draw_digits(10, seed=4)[0]):
        Image.fromarray(picture).save(tmp_path / "scans" / f"{number}.png")
    recipe = re.search(r"```toml\n(.*?)```", (ROOT / "docs/how-to/recipes.md").read_text(), re.DOTALL)
    (tmp_path / "my-recipe.toml").write_text(recipe[1])
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
@pytest.mark.prefect
@pytest.mark.filterwarnings("ignore")  # MLflow's own
def test_commands_of_how_to_pages_succeed(prefect_server, files, run_script, monkeypatch):
    n_run = 0
    for page in PAGES:
        if page == "promote":  # its commands go from version 2 to 1 and back
            run_script("promote", "--version", 2)
        if page == "mlflow":
            monkeypatch.setenv(*re.search(r"export (\w+)=(\S+)", *code(page, "sh")).groups())
        for flow, flags in map(flow_and_flags, commands(page)):
            if flow not in {"verify", "install"}:
                ended = run_script(flow, *flags)
                assert ended.returncode == 0, f"{flow} {flags}: {ended.stderr}"
                n_run += 1
    assert n_run == 14
    names = {"images": draw_digits(20, seed=5)[0]}
    exec(*code("mlflow", "python"), names)  # noqa: S102, the page's own
    assert names["labels"].shape == (20,)
