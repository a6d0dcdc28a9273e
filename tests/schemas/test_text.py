"""Texts of others in one visible line."""

import pytest

from schemas.errors import InputError
from schemas.text import MAX_LENGTH, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("数字 été.csv", "数字 été.csv"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[2J\x7f\x9b", "\\x1b[2J\\x7f\\x9b"),
        ("\u202ecsv.exe\u2028", "\\u202ecsv.exe\\u2028"),
        ("\udcff \ud800", "\\xff \\ud800"),
    ],
)
def test_hidden_characters_are_shown_escaped(text, shown):
    assert printable(text) == printable(shown) == shown
    assert str(InputError(text)) == shown


@pytest.mark.parametrize("prefix", ["x" * 1_950, "x" * 1_950 + " ", "x " * 980])
@pytest.mark.parametrize("n_middle", [0, 100, 5_000])
def test_cut_shows_no_part_of_an_address(prefix, n_middle):
    secret = "hunter2/" * 20
    text = f"{prefix}s3://KEY:{secret}{'a' * n_middle}{secret}@bucket {'y' * 1_900} {'z ' * 950}"
    shown = printable(text)
    assert "hunter2" not in shown
    assert len(shown) <= MAX_LENGTH
    assert (shown.startswith("x"), shown.endswith("z ")) == (True, True) or " " not in prefix
