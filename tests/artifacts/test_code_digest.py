"""The digest of code: what changes it and what doesn't."""

import pytest

from artifacts import code_digest as module
from artifacts.code_digest import code_digest


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROOT", tmp_path)
    code_digest.cache_clear()
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "entry.py").write_text("from tasks import helper\n\nANSWER = helper.double(21)\n")
    (tmp_path / "tasks" / "helper.py").write_text(
        '"""Helps."""\n\n\ndef double(x):\n    """Double."""\n    return 2 * x\n'
    )
    (tmp_path / "tasks" / "other.py").write_text("X = 1\n")
    yield tmp_path / "tasks"
    code_digest.cache_clear()


def digest_after(path, text):
    before = code_digest("tasks.entry")
    path.write_text(text)
    code_digest.cache_clear()
    return before, code_digest("tasks.entry")


def test_rewording_docstrings_and_comments_changes_nothing(project):
    before, after = digest_after(project / "helper.py", '"""Reworded."""\ndef double(x):\n    return 2 * x  # why\n')
    assert after == before


def test_changed_code_of_an_imported_module_changes_it(project):
    before, after = digest_after(project / "helper.py", "def double(x):\n    return x + x\n")
    assert after != before


def test_a_module_that_is_not_imported_does_not_count(project):
    before, after = digest_after(project / "other.py", "X = 2\n")
    assert after == before


def test_imports_for_type_checking_do_not_count(project):
    text = (
        "from typing import TYPE_CHECKING\nfrom tasks import helper\nif TYPE_CHECKING:\n    from tasks import other\n"
    )
    (project / "entry.py").write_text(text)
    before, after = digest_after(project / "other.py", "X = 3\n")
    assert after == before


def test_a_parser_that_another_thread_disturbs_is_called_again(project, monkeypatch):
    expected = code_digest("tasks.entry")
    code_digest.cache_clear()
    faults = [SystemError("AST constructor recursion depth mismatch")] * 2

    def parse(text):
        if faults:
            raise faults.pop()
        return original(text)

    original = module.ast.parse
    monkeypatch.setattr(module.ast, "parse", parse)
    assert code_digest("tasks.entry") == expected
    assert not faults
