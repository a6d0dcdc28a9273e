"""Formats are registered in one place: recognition, reading, help texts and errors come from there."""

import re
import subprocess
import sys

import pytest
from samples import ROOT, fingerprint_of

from schemas.errors import InputError
from schemas.rules import DEFAULT_INPUT_RULES, DEFAULT_RULES
from tasks.sources import formats, inputs
from tasks.sources.formats import Format

READER = '''
"""Read `.digits` files: a line `digits`, then a label and 784 pixels per line, separated by spaces."""

import numpy as np

from tasks.sources.frames import Frames, images_to_frame


def read(path, rules):
    rows = np.loadtxt(path, np.int64, skiprows=1, ndmin=2)
    return Frames(images_to_frame(rows[:, 1:], rows[:, 0]))


def batches(path, rules, n_rows):
    frame = read(path, rules).train
    return (frame.iloc[start : start + n_rows] for start in range(0, len(frame), n_rows))
'''


@pytest.fixture
def toy_source(digits, tmp_path, monkeypatch):
    """Register a toy format, and return a file of it."""
    (tmp_path / "digits_reader.py").write_text(READER)
    monkeypatch.syspath_prepend(tmp_path)
    toy = Format(
        "digits",
        "digits_reader",
        "a label and 784 pixels per line",
        file=".digits",
        matches_file=lambda head: head.startswith(b"digits\n"),
    )
    monkeypatch.setattr(formats, "FORMATS", (toy, *formats.FORMATS))
    path = tmp_path / "rows.digits"
    path.write_text("digits\n" + "\n".join(" ".join(map(str, row)) for row in digits.to_numpy()))
    return path


def test_a_registered_format_is_loaded_and_predicted_on(toy_source, digits):
    loaded = formats.load(str(toy_source), None, DEFAULT_RULES)
    assert fingerprint_of(loaded.train, digits) == fingerprint_of(digits, digits)
    sizes = [len(frame) for frame in inputs.batches(str(toy_source), DEFAULT_INPUT_RULES, 300)]
    assert sizes == [300, 100]


@pytest.mark.usefixtures("toy_source")
def test_a_registered_format_is_in_help_documentation_and_errors():
    assert "an .digits, .npz" in formats.source_help()
    assert "an .digits, .npz" in formats.input_help()
    assert "| `.digits` | a label and 784 pixels per line |" in formats.source_table()
    with pytest.raises(InputError, match=r"nowhere: no such file or folder; expected mnist, .* \.digits"):
        formats.check("nowhere")


def test_the_documentation_has_the_registrys_table():
    assert formats.source_table() in (ROOT / "docs" / "how-to" / "own-data.md").read_text()


def test_a_bad_source_is_refused_without_heavy_imports(tmp_path):
    (tmp_path / "noise.bin").write_bytes(bytes(range(9)))
    code = (
        "import sys\n"
        "from schemas.errors import InputError\n"
        "from tasks.sources import formats, inputs\n"
        "try: formats.check(sys.argv[1])\n"
        "except InputError as error: print(error)\n"
        "print({'numpy', 'pandas', 'pyarrow', 'PIL'} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "noise.bin"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    message, heavy = run.stdout.splitlines()
    assert "noise.bin: unknown content; expected mnist, " in message
    assert heavy == "set()"


def test_readers_do_not_import_the_registry():
    for path in (ROOT / "tasks" / "sources").glob("*.py"):
        imports = [line for line in path.read_text().splitlines() if re.match(r"\s*(from|import) .*\bformats\b", line)]
        assert path.name in {"formats.py", "inputs.py"} or not imports, path
