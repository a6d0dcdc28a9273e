"""A file is replaced whole or not at all."""

import os

import pytest

from artifacts.files import write_atomically


def test_replaces_the_content(tmp_path):
    path = tmp_path / "champion"
    write_atomically(path, b"1")
    write_atomically(path, b"2")
    assert path.read_bytes() == b"2"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_content_and_no_debris(tmp_path, monkeypatch):
    path = tmp_path / "champion"
    write_atomically(path, b"1")

    def full(_descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_atomically(path, b"2")
    assert path.read_bytes() == b"1"
    assert list(tmp_path.iterdir()) == [path]
