"""`pip install .`: the project as a package, outside its folder."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from samples import ROOT, clean_environment


def pip(python, *arguments):
    command = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", *arguments]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.registry
def test_pip_install_builds_a_package_that_runs_anywhere(tmp_path):
    """The new environment sees the locked dependencies, which pip would otherwise install again: 3.6 GB."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = subprocess.run([python, "-c", query], capture_output=True, text=True, check=True).stdout.strip()
    (Path(packages) / "locked.pth").write_text(sysconfig.get_path("purelib"))
    assert "Successfully installed digit-retraining" in pip(python, "install", ".")
    pip(python, "check")
    environment = clean_environment(tmp_path)
    command = [python, "-m", "flows.train_flow", "--help"]
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
    code = "import flows, pkgutil\nfor one in pkgutil.iter_modules(flows.__path__): __import__(f'flows.{one.name}')\n"
    where = [python, "-c", f"{code}print(flows.__path__[0])"]
    found = subprocess.run(where, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    assert found.startswith(str(tmp_path))
