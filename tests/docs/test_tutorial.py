"""The tutorial, followed to the letter: its commands succeed and print what it shows."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL
from samples import ROOT, clean_environment

TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text()
PAGE = (ROOT / "docs" / "how-to" / "use-the-model.md").read_text()
USE_THE_MODEL = "import numpy as np\nimages = np.zeros((2, 28, 28), np.uint8)\n" + "".join(
    re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
)
EXPORT = re.findall(r"^\.venv/bin/python flows/export_flow.*$", PAGE, re.MULTILINE)
README = (ROOT / "README.md").read_text()
NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
SETTLE_SECONDS = 5
"""The wait that the tutorial asks for after files were copied into the inbox."""


def steps() -> list[tuple[str, list[str]]]:
    """Return each block of commands with the lines of output that the tutorial shows after it."""
    blocks = re.findall(r"```sh\n(.*?)```\s+(?:[^`\n][^\n]*\n)*\s*(?:```text\n(.*?)```)?", TUTORIAL, re.DOTALL)
    return [
        (command, [line for line in output.splitlines() if line.strip() not in {"", "…"}]) for command, output in blocks
    ]


def without_numbers(line: str) -> str:
    """Return the line with its numbers, the plurals after them and the id of an artifact masked."""
    masked = re.sub(r"artifact/[0-9a-f-]+…?", "artifact/ID", line)
    masked = re.sub(r"\d+([.,]\d+)*", "N", masked)
    return " ".join(re.sub(r"\b(mistake|one|row|image)s\b", r"\1", masked).split())


def quantities(line: str) -> tuple[list[float], list[float]]:
    """Return the numbers of a line, and of its percentages the rests to 100, which show how accuracies differ."""
    numbers = [(float(number.replace(",", "")), percent) for number, percent in re.findall(rf"({NUMBER})(%?)", line)]
    return [n for n, percent in numbers if not percent], [100 - n for n, percent in numbers if percent]


def is_printed(shown: str, printed: list[str]) -> bool:
    """Check whether a line has these words, and numbers about as large: another processor acts like another seed.

    Of five seeds, one abstained from 23 of the tutorial's pictures, the others from none.
    """
    numbers, percentages = quantities(shown)
    expected = pytest.approx(numbers, rel=0.15, abs=25), pytest.approx(percentages, rel=0.75, abs=1)
    return any(
        without_numbers(line) == without_numbers(shown)
        and (any(word in line for word in ("artifact/", "abstain")) or quantities(line) == expected)
        for line in printed
    )


@pytest.mark.mnist
@pytest.mark.prefect
def test_the_tutorial_runs_and_prints_what_it_shows(tmp_path, prefect_home, prefect_server, mnist_run):
    """Follow it while a server runs, which spares each command but `make train` the start of one."""
    shutil.copytree(mnist_run[0] / "store", tmp_path / "store")
    for name, target in {"flows": ROOT / "flows", "docs": ROOT / "docs", ".venv": Path(sys.prefix)}.items():
        (tmp_path / name).symlink_to(target)
    environment = clean_environment(prefect_home) | {"PREFECT_API_URL": PREFECT_API_URL.value()}
    n_compared = 0
    for commands, shown in steps():
        if "make up" in commands:
            continue
        script = commands.replace("make train", ".venv/bin/python flows/train_flow.py")
        shell = ["/bin/sh", "-e", "-c", script]
        if n_compared == 0:  # `make train`
            ran = mnist_run[1]
        else:
            ran = subprocess.run(shell, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        printed = ran.stdout.splitlines()
        assert [line for line in shown if not is_printed(line, printed)] == [], ran.stdout
        if n_compared == 0:  # which the README shows as well
            in_readme = re.search(r"```text\n(.*?)```", README, re.DOTALL)[1].splitlines()
            assert [line for line in in_readme if not is_printed(line, printed)] == [], ran.stdout
        n_compared += len(shown)
        if "cp -r" in commands:
            time.sleep(SETTLE_SECONDS)
    assert n_compared > 15
    assert (tmp_path / "tutorial" / "predictions.csv").is_file()
    subprocess.run(["/bin/sh", "-e", "-c", *EXPORT], cwd=tmp_path, env=environment, check=True)
    subprocess.run([sys.executable, "-c", USE_THE_MODEL], cwd=tmp_path, env=environment, check=True)
    files = json.loads((tmp_path / "store" / "versions" / "1" / "card.json").read_text())["files"]
    reference = (ROOT / "docs" / "reference" / "store.md").read_text()
    assert [name for name in files if not name.endswith(".png") and f"| `{name}` |" not in reference] == []
