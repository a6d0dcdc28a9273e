"""The benchmark can be run, and its page holds nothing but what was measured."""

import json
import os
import subprocess
import sys
from statistics import median

import pytest
from samples import ROOT, clean_environment

BENCHMARKS = ROOT / "benchmarks"


def run(*command, **environment):
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )


def test_the_page_is_what_was_measured():
    code = (
        f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r}); import bench, page\n"
        "kept = bench.read(bench.RESULTS), bench.read(bench.LONG_RESULTS), bench.read_large(bench.LARGE_RESULTS)\n"
        "sys.stdout.write(page.page(*kept))"
    )
    assert run("-c", code).stdout == (BENCHMARKS / "results.md").read_text()


def test_the_readmes_figures_are_what_was_measured():
    kept = json.loads((BENCHMARKS / "results.json").read_text())
    readme = (ROOT / "README.md").read_text()
    for program, title in (("plain_script", "a plain Keras script, 10 epochs"), ("flow", "`make train`")):
        runs = [run for run in kept["programs"] if run["program"] == program]
        seconds, accuracy, peak = (median(run[of] for run in runs) for of in ("seconds", "accuracy", "peak_bytes"))
        figures = f"{seconds:.1f} s | {100 * accuracy:.2f} % | {10_000 * (1 - accuracy):.0f} | {peak / 2**20:.0f} MiB"
        assert f"| {title} | {figures} |" in readme
    assert kept["machine"]["processor"] in readme


def test_the_flow_without_prefect_is_the_flow(tiny_npz, tmp_path):
    environment = clean_environment(tmp_path / "home") | {"PYTHONPATH": str(BENCHMARKS / "without_prefect")}
    flags = ["--source", tiny_npz, "--store", tmp_path / "store", "--recipe", "plain", "--min-accuracy", "0"]
    ended = run("flows/train_flow.py", *flags, **environment)
    assert "version 1: accuracy" in ended.stdout
    assert "server" not in ended.stderr
    assert json.loads((tmp_path / "store" / "versions" / "1" / "card.json").read_text())["run"] == "without Prefect"
    assert not (tmp_path / "home").exists()


@pytest.mark.prefect
@pytest.mark.mnist
@pytest.mark.parametrize("part", ["engine", "sklearn_mlp", "keras_tuned"])
def test_a_contender_can_be_measured(part):
    told = run("benchmarks/bench.py", "--quick", "--only", part).stdout
    assert told.startswith("# Benchmark")
    assert "Seeds" in told
