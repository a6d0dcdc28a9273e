"""Formats are registered in one place: recognition, reading, help texts and errors come from there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from samples import ROOT, fingerprint_of

from artifacts.store.folder_storage import FolderStorage
from schemas.errors import InputError
from schemas.rules import DEFAULT_INPUT_RULES, DEFAULT_RULES
from tasks.inbox import merger
from tasks.sharding import checked_shards
from tasks.sharding.shard_cache import ShardCache, in_threads
from tasks.sources import datasets, formats, inputs
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
        shard_suffixes=(".digits",),
    )
    monkeypatch.setattr(formats, "FORMATS", (toy, *formats.FORMATS))
    path = tmp_path / "rows.digits"
    path.write_text("digits\n" + "\n".join(" ".join(map(str, row)) for row in digits.to_numpy()))
    return path


def test_a_registered_format_is_loaded_and_predicted_on(toy_source, digits):
    loaded = datasets.load(str(toy_source), None, DEFAULT_RULES)
    assert fingerprint_of(loaded.train, digits) == fingerprint_of(digits, digits)
    sizes = [len(frame) for frame in inputs.batches(str(toy_source), DEFAULT_INPUT_RULES, 300)]
    assert sizes == [300, 100]


def test_a_registered_format_is_read_as_shards_and_from_the_inbox(toy_source, digits, tmp_path):
    folder = tmp_path / "shards"
    folder.mkdir()
    for name in ("a.digits", "b.digits"):
        shutil.copy(toy_source, folder / name)
    manifest = datasets.load(str(folder), None, DEFAULT_RULES).train
    cache = ShardCache(FolderStorage(tmp_path / "cache"), in_threads)
    assert checked_shards.of_manifest(manifest, DEFAULT_RULES, cache).n_input == 2 * len(digits)
    assert fingerprint_of(merger.read_file(toy_source, DEFAULT_RULES), digits) == fingerprint_of(digits, digits)


@pytest.mark.usefixtures("toy_source")
def test_a_registered_format_is_in_help_documentation_and_errors():
    assert "an .digits, .npz" in formats.source_help()
    assert "an .digits, .npz" in formats.input_help()
    assert "| `.digits` | a label and 784 pixels per line |" in formats.source_table()
    assert "an address of `.digits`, `.parquet`, `.arrow` or `.csv` files" in formats.source_table()
    assert formats.inbox_help().startswith("an .digits, .npz")
    with pytest.raises(InputError, match=r"expected a \.digits, \.parquet, \.arrow or \.csv file"):
        formats.find_shard_format(Path("/dev/null"))
    with pytest.raises(InputError, match=r"nowhere: no such file or folder; expected mnist, .* \.digits"):
        datasets.check("nowhere")


def test_the_documentation_has_the_registrys_table():
    assert formats.source_table() in (ROOT / "docs" / "how-to" / "own-data.md").read_text()


def test_a_bad_source_is_refused_without_heavy_imports(tmp_path):
    (tmp_path / "noise.bin").write_bytes(bytes(range(9)))
    code = (
        "import sys\n"
        "from schemas.errors import InputError\n"
        "from tasks.sources import datasets, formats, inputs\n"
        "try: datasets.check(sys.argv[1])\n"
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
        assert path.name in {"datasets.py", "formats.py", "inputs.py", "shards.py"} or not imports, path
