"""Texts of others in one visible line."""

import pytest

from schemas.errors import InputError
from schemas.text import printable


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
