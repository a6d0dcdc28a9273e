"""The command line: help, bad input, exit codes, signals, and what it prints."""

import json
import os
import resource
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from prefect import flow, tags, task
from prefect.runtime import flow_run, task_run
from prefect.settings import PREFECT_API_URL, temporary_settings
from samples import ROOT, clean_environment
from serving import free_port

import flows
from artifacts.store.store import Store
from flows import command_line
from schemas.errors import InputError
from schemas.recipe import PRESETS, Overrides

NOISE = ("oneDNN", "cuda", "cuInit", "absl", "TF_", "I0000", "E0000", "WARNING", "Warning", "telemetry", "Traceback")


def error_line(process):
    assert process.stdout == ""
    assert len(process.stderr.splitlines()) == 1, process.stderr
    assert process.stderr.startswith("error: ")
    return process.stderr


class OtherServer(BaseHTTPRequestHandler):
    """Answers 401 below /locked/, as a proxy with a password, Prefect's version below /old/, and elsewhere HTML."""

    def do_GET(self):
        self.send_response(401 if self.path.startswith("/locked/") else 200)
        self.end_headers()
        self.wfile.write(b'"3.4.0"' if self.path.startswith("/old/") else b"<!doctype html>")

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def other_server():
    with HTTPServer(("127.0.0.1", 0), OtherServer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("{other}", "no Prefect server's API answers there (Expecting value"),
        ("{other}/locked/api", "wrong or no password; set PREFECT_API_AUTH_STRING; that of `make up` is in "),
        ("http://127.0.0.1:{free}/api", "no Prefect server's API answers there ([Errno 111] Connection refused"),
        ("http://127.0.0.1:abc/api", "no Prefect server's API answers there (Invalid port"),
    ],
)
def test_unreachable_prefect_server_is_a_one_line_error(run_script, other_server, address, message):
    url = address.format(other=other_server, free=free_port())
    with temporary_settings({PREFECT_API_URL: url}):
        ended = run_script("train")
    assert ended.returncode == 1
    assert error_line(ended).startswith(f"error: PREFECT_API_URL={url}: {message}")


def test_older_prefect_server_is_a_one_line_error(run_flow, other_server):
    url = f"{other_server}/old/api"
    ended = run_flow("train", env={"PREFECT_API_URL": url})
    assert ended.returncode == 1
    assert error_line(ended).startswith(f"error: PREFECT_API_URL={url}: that server runs Prefect 3.4.0; update it to ")


def test_prefect_home_that_cannot_be_written_is_a_one_line_error(run_flow):
    ended = run_flow("train", env={"PREFECT_HOME": "/proc/prefect"})
    assert ended.returncode == 1
    assert error_line(ended).startswith("error: PREFECT_HOME=/proc/prefect: can't be written (")


def test_user_without_a_home_folder_is_a_one_line_error(monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: Path("~no-such-user").expanduser())
    with pytest.raises(SystemExit, match="error: this user has no home folder; set HOME to"):
        flows.check_home()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://server.example:4300/api", "http://server.example:4300/v2/artifacts/artifact/7"),
        ("", "http://127.0.0.1:4200/v2/artifacts/artifact/7, while `make up` runs"),
    ],
)
def test_link_to_an_artifact_leads_to_the_newer_ui(url, address):
    with temporary_settings({PREFECT_API_URL: url}):
        assert command_line.artifact_page(7).startswith(address)


def test_help_lists_every_flag_with_default_and_description_in_panels(run_script):
    ended = run_script("train", "--help")
    assert ended.returncode == 0
    assert ended.stderr == ""
    titles = [line.strip("╭─╮ ") for line in ended.stdout.splitlines() if line.startswith("╭")]
    assert titles == ["Data", "Recipe", "Augmentation", "Validation", "Gate", "Compute", "Store", "Alarms"]
    cells = [line.strip("│ ").split("  ", 1)[-1] for line in ended.stdout.splitlines()]
    descriptions = " ".join(" ".join(cells).split())
    for name, field in Overrides.model_fields.items():
        assert f"--{name.replace('_', '-')} " in ended.stdout
        assert field.description in descriptions, name
    assert all(preset in descriptions for preset in PRESETS)
    for text in ("--source", "[default: mnist]", "--store", "[default: store]", "--recipe", "[default: fast]"):
        assert text in ended.stdout


@pytest.mark.parametrize(
    ("name", "arrays", "message"),
    [
        ("shape.npz", {"x": np.zeros((9, 27, 28)), "y": np.zeros(9)}, "x is (9, 27, 28)"),
        ("names.npz", {"images": np.zeros((9, 28, 28))}, "no arrays x_train"),
        ("header.csv", "label,pixel0,pixel2\n1,2,3\n", "'pixel2' in place of 'pixel1' as column 3"),
    ],
)
def test_source_of_another_layout_is_refused_before_a_server_starts(run_flow, tmp_path, name, arrays, message):
    path = tmp_path / name
    path.write_text(arrays) if isinstance(arrays, str) else np.savez(path, **arrays)
    environment = {"PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api"}  # no server, which is checked later
    ended = run_flow("train", "--test-source", path, cwd=tmp_path, env=environment)
    assert ended.returncode == 1
    assert message in error_line(ended)


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("train --source mnits", 1, "mnits: no such file or folder; expected mnist, fashion-mnist, an .npz"),
        ("train --source gone.npz", 1, "gone.npz: no such file or folder"),
        ("train --source s3://", 1, "s3://: incomplete address"),
        ("train --store /proc/store", 1, "can't be written"),
        (f"train --store {__file__}", 1, "can't be written"),
        ("train --validation-fraction 0.6", 2, "--validation-fraction 0.6: Input should be less than or equal to 0.5"),
        ("train --validation-fraction -0.1", 2, "--validation-fraction -0.1: Input should be greater than or equal to"),
        ("train --epochs 0", 2, "--epochs 0: Input should be greater than or equal to 1"),
        ("train --epochs -3", 2, "--epochs -3: Input should be greater than or equal to 1"),
        ("train --batch-size 0", 2, "--batch-size 0"),
        ("train --batch-size many", 2, "--batch-size many: Input should be a valid integer"),
        ("train --network transformer", 2, "--network"),
        ("train --recipe magic", 2, "--recipe magic: expected plain, fast, robust, best, or the path of a recipe file"),
        ("train --recipe gone.toml", 1, "--recipe gone.toml: no such file"),
        ("tune --recipe gone.toml", 1, "--recipe gone.toml: no such file"),
        ("tune --output tuned.json", 2, "--output tuned.json: must end with .toml"),
        ("tune --store s3://digits/store", 1, "--store s3://digits/store: a study needs a folder on this machine"),
        ("train --keep 0", 2, "error: --keep 0: Input should be greater than or equal to 1"),
        ("train --epoch 3", 2, "--epoch"),
        ("train --patience 3 --validation-fraction 0", 2, "validation fraction above 0"),
        ("train --workers 2", 2, "--workers needs --engine ray"),
        ("train --repair flop", 2, "--repair flop: Input should be 'scale', 'invert'"),
        ("train a.npz b.npz", 2, "unexpected argument b.npz; quote a pattern: 'scans/*.png'"),
        ("predict", 1, "store: there are no versions; train one, or check --store"),
        ("predict --version 7", 1, "store: there is no version 7; versions: none"),
        ("promote --version 7", 1, "store: there is no version 7; versions: none"),
        ("audit --source gone.csv", 1, "gone.csv: no such file or folder"),
        ("predict --input scans/*.png", 1, "scans/*.png: no file; expected mnist, fashion-mnist, an .npz"),
        ("predict --output out.xlsx", 2, "--output out.xlsx: must end with .csv or .parquet"),
        ("predict --output gone/out.csv", 1, "--output gone/out.csv: can't be written (No such file or directory)"),
        (f"predict --input {__file__} --output {__file__}", 2, "must end with"),
        ("predict --input a.png b.png", 2, "unexpected argument b.png; quote a pattern: 'scans/*.png'"),
        ("predict --batch-size 0", 2, "--batch-size 0: Input should be greater than or equal to 1"),
        ("predict --drift never", 2, "--drift never: Input should be 'error' or 'warning'"),
    ],
)
def test_bad_input_is_a_one_line_error_and_writes_nothing(  # noqa: PLR0913, fixtures
    run_script, tmp_path, monkeypatch, command, code, message
):
    monkeypatch.chdir(tmp_path)
    ended = run_script(*command.split())
    assert ended.returncode == code
    assert message in error_line(ended)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("flags", "code"), [(["--source", "gone.npz"], 1), (["--epochs", "0"], 2)])
def test_a_process_ends_with_its_exit_code_and_prints_no_noise(run_flow, tmp_path, flags, code):
    ended = run_flow("train", *flags, cwd=tmp_path)
    assert ended.returncode == code
    assert flags[1] in error_line(ended)


@pytest.mark.prefect
def test_refused_data_ends_with_a_one_line_error(run_script, prefect_server, tmp_path, tiny_npz):
    with np.load(tiny_npz) as whole:
        arrays = dict(whole) | {"y_test": whole["y_test"] + 5}
    np.savez(tmp_path / "bad.npz", **arrays)
    ended = run_script("train", "--source", tmp_path / "bad.npz", "--store", tmp_path / "store")
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("error: bad.npz: 100 of 200 test rows had to be quarantined (100 label unknown)")
    assert not (tmp_path / "store" / "versions").exists()


def signal_after(text, command, environment, number, *, to_group=True) -> tuple[int, str]:
    """Run a command until standard error has the text, then signal it; return its exit code and the rest of the output.

    A terminal or `timeout` signals the whole process group, a person with `kill` the process alone.
    """
    with subprocess.Popen(
        command, env=environment, text=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    ) as process:
        for line in process.stderr:
            if text in line:
                break
        if to_group:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        rest = process.stderr.read()  # ends when no child holds it open any more
    return process.returncode, rest


def test_lack_of_memory_is_a_one_line_error(run_script, monkeypatch, tmp_path):
    def check_writable(_):
        raise MemoryError

    monkeypatch.setattr(Store, "check_writable", check_writable)
    ended = run_script("train", "--store", tmp_path)
    assert ended.returncode == 1
    assert error_line(ended).startswith("error: out of memory: interrupted; the same command resumes")


def test_ctrl_c_during_the_imports_exits_without_a_traceback(prefect_home):
    command = [sys.executable, "-X", "importtime", ROOT / "flows" / "train_flow.py", "--source", "gone.npz"]
    for module in ("flows.script", "cyclopts", "prefect.settings"):
        code, rest = signal_after(f" {module}\n", command, clean_environment(prefect_home), signal.SIGINT)
        assert code == 130, module
        assert "Traceback" not in rest
        assert rest.splitlines()[-1] == "error: interrupted"


def test_run_that_does_not_end_after_sigterm_is_ended(monkeypatch, capfd):
    exits = []
    monkeypatch.setattr(os, "_exit", exits.append)
    monkeypatch.setattr(command_line, "SIGTERM_SECONDS", 0)
    before = signal.signal(signal.SIGTERM, lambda *_: None)  # as a handler that waits for ever
    thread = command_line._limit_termination("interrupted; resumes")
    try:
        signal.raise_signal(signal.SIGTERM)
        thread.join(30)
    finally:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, before)
    assert exits == [143]
    assert capfd.readouterr().err == "error: interrupted; resumes\n"


def test_garbage_collector_rests_while_a_script_imports_and_exits():
    code = (
        "import atexit, gc, sys; atexit.register(lambda: print(gc.get_freeze_count() > 0))\n"
        "sys.argv = ['flows/train_flow.py']; from flows import script; print(gc.isenabled())\n"
        "script.finish_imports(); print(gc.isenabled() and gc.get_freeze_count() > 0)"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["False", "True", "True"]


@pytest.mark.slow
@pytest.mark.prefect
def test_interrupted_trainings_exit_with_their_codes_and_resume(prefect_home, tiny_npz, tmp_path):
    command = [sys.executable, ROOT / "flows" / "train_flow.py", "--source", tiny_npz, "--store", tmp_path / "store"]
    command += ["--epochs", "20", "--batch-size", "4", "--recipe", "plain"]
    environment = clean_environment(prefect_home)

    resumes = "error: interrupted; the same command resumes at the last checkpoint, if there is one"
    for text, number, to_group, expected in (
        ("epoch  2/20", signal.SIGINT, True, 130),
        ("epoch  6/20", signal.SIGTERM, False, 143),
    ):
        code, rest = signal_after(text, command, environment, number, to_group=to_group)
        assert code == expected, rest
        assert rest.splitlines()[-1] == resumes

    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "resuming after epoch" in ended.stderr
    assert json.loads((tmp_path / "store" / "versions" / "1" / "metrics.json").read_text())["accuracy"] > 0.9


@pytest.mark.prefect
@pytest.mark.mnist
def test_a_run_on_mnist_is_accurate_and_prints_no_noise(mnist_run):
    folder, ended = mnist_run
    assert ended.returncode == 0, ended.stderr
    metrics = json.loads((folder / "store" / "versions" / "1" / "metrics.json").read_text())
    assert metrics["accuracy"] >= 0.9756
    assert metrics["dataset"]["training_rows"] + metrics["dataset"]["validation_rows"] == 60_000
    assert "promoted to champion: the first champion" in ended.stdout
    assert f"version 1: accuracy {metrics['accuracy']:.2%}" in ended.stdout
    assert "store/versions/1/report.md" in ended.stdout
    assert "/v2/artifacts/artifact/" in ended.stdout
    assert [word for word in NOISE if word in ended.stdout + ended.stderr] == []


@pytest.mark.prefect
def test_runs_from_the_command_line_have_tags_but_their_tasks_none(prefect_server):
    @task
    def tagged_task():
        return task_run.tags

    @flow
    def tagged_flow(parameter: str = "default"):
        return parameter, flow_run.tags, tagged_task()

    with tags("digits"):
        assert command_line._without_task_tags(tagged_flow)(parameter="given") == ("given", ["digits"], [])


def test_full_disk_of_prefect_is_one_line_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # for root, too
    try:
        with pytest.raises(
            InputError, match=r"^PREFECT_HOME=.*: can't be written \(.*\); set it to .* free some space$"
        ):
            command_line._check_prefect_home()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_character_that_the_locale_lacks_is_printed_escaped():
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", "import flows; print('28 \\xd7 28')"]
    ended = subprocess.run(command, env=os.environ | locale, capture_output=True, encoding="ascii", check=False)
    assert ended.stdout == "28 \\xd7 28\n"
