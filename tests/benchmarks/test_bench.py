"""The cases can be measured, and nothing is written unless whole suites are."""

import subprocess
import sys

import pytest
from samples import ROOT

BENCHMARKS = ROOT / "benchmarks"
KEPT = [BENCHMARKS / "results.json", BENCHMARKS / "results.md", ROOT / "README.md"]


def measure(*flags):
    """Measure short runs of some cases, and return the rendered page."""
    before = [path.read_text() for path in KEPT]
    command = [sys.executable, BENCHMARKS / "bench.py", "--quick", *map(str, flags)]
    page = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout
    assert [path.read_text() for path in KEPT] == before
    return page


@pytest.fixture
def toy(benchmarks, tmp_path):
    """Return a function that measures a suite with one toy case, whose script prints some text."""

    def run(printed):
        script = tmp_path / "toy.py"
        script.write_text(f"print('training ...')\nprint({printed!r})")
        case = benchmarks.suites.Case("a toy", str(script))
        suite = benchmarks.suites.Suite("prediction", "standard", 1, {"toy": case})
        return benchmarks.bench.measure_suite(suite, 3, [], benchmarks.bench.parse([]))

    return run


def test_a_case_that_prints_its_metrics_is_measured_from_outside(toy):
    (one,) = toy('{"accuracy": 0.5}')
    assert (one["suite"], one["case"], one["seed"], one["accuracy"]) == ("prediction", "toy", 3, 0.5)
    assert one["process_seconds"] > 0
    assert one["peak_bytes"] > 2**20


def test_a_script_may_measure_several_cases(toy):
    measurements = toy('[{"case": "first", "seconds": 1}, {"case": "second", "seconds": 2}]')
    assert [(one["suite"], one["case"], one["seconds"]) for one in measurements] == [
        ("prediction", "first", 1),
        ("prediction", "second", 2),
    ]


def test_every_case_has_a_script(benchmarks):
    cases = [case for suite in benchmarks.suites.SUITES.values() for case in suite.cases.values() if case.run]
    assert [case.run for case in cases if not (BENCHMARKS / case.run.split()[0]).is_file()] == []


def test_a_failing_program_is_named_with_its_last_error(benchmarks):
    command = [sys.executable, "-c", "raise SystemExit('no data')"]
    with pytest.raises(benchmarks.processes.ProgramError, match="exit code 1\nno data"):
        benchmarks.processes.run(command, {})


def test_the_memory_of_a_program_is_sampled_while_it_runs(benchmarks):
    command = [sys.executable, "-c", "held = bytearray(200 * 2**20); import time; time.sleep(1)"]
    finished = benchmarks.processes.run(command, {}, benchmarks.processes.anonymous_bytes)
    assert 200 * 2**20 < finished.sampled_bytes <= finished.peak_bytes


@pytest.mark.prefect
@pytest.mark.ray
@pytest.mark.mnist
def test_cases_of_several_suites_can_be_measured(tmp_path):
    """Scripts in one process, on a data set that is made once, and a flow on it with a server and Ray."""
    cases = ("engine_peak", "sklearn_mlp", "rows_1000000", "mlp_plain_1")
    page = measure("--suite", "training", "cache", "workers", "--only", *cases, "--data", tmp_path)
    assert "Not measured: Keras, plain script" in page
    assert "GFLOP/s" in page
    assert "| 1,000,000 rows | 1 |" in page
    assert "| one Ray worker | 6,000 |" in page
    assert {path.name for path in tmp_path.iterdir()} == {"digits-6000", "digits-6000.json"}
