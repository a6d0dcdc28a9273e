"""Who can learn the password of `make up`'s server."""

import contextlib
import os
import socket

import password
import pytest
import up
from serving import free_port


def test_password_is_random_and_only_its_owner_can_read_it(tmp_path):
    umask = os.umask(0)
    try:
        first, second = (password.read_or_create(tmp_path / name) for name in ("first", "second"))
    finally:
        os.umask(umask)
    assert first != second
    assert password.read_or_create(tmp_path / "first") == first
    assert (tmp_path / "first").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        ("admin:0123456789abcdefghij\n", 0o644, "other users can read or change it"),
        ("admin:0123456789abcdefghij\n", 0o620, "other users can read or change it"),
        ("", 0o600, "holds no password"),
        ("admin:\n", 0o600, "holds no password"),
        ("\udcff".encode(errors="surrogateescape"), 0o600, "holds no password"),
    ],
)
def test_unsuitable_file_is_refused(tmp_path, content, mode, reason):
    path = tmp_path / "password"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    with pytest.raises(password.PasswordError, match=reason) as error:
        password.read_or_create(path)
    assert str(error.value).startswith(f"{path}: ")


def test_no_other_process_can_take_the_servers_port_while_it_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(up, "SERVER_LOG", tmp_path / "log")
    port = free_port()
    with contextlib.ExitStack() as stack:
        up.start_server(stack, str(port), os.environ)
        with pytest.raises(OSError, match="in use"):
            socket.create_server(("127.0.0.1", port))
