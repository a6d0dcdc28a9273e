"""Checks of a flow's sources before Prefect starts, shared by the flows that train."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from artifacts.store.store import Store
from artifacts.uri import local_path
from schemas.rules import Rules
from tasks.inbox.folder import Inbox
from tasks.sources import datasets


def check_sources(source: str, test_source: str, store: str, inbox: str = "") -> None:
    """Raise InputError for bad addresses of the sources, the inbox or the store."""
    sources = _given(source, test_source)
    datasets.check(*sources)
    if inbox:
        Inbox(Path(inbox)).check(*map(datasets.resolve_path, sources), local_path(store))
    Store(store).check_writable()


def with_headers(check: Callable[..., None]) -> Callable[..., None]:
    """Let a check of parameters check the sources' headers, too; a deployed run reports those in its task `load`."""

    def check_with_headers(source: str, *, test_source: str, rules: Rules, **parameters: Any) -> None:  # noqa: ANN401, as of `check`
        check(source, test_source=test_source, **parameters)
        datasets.check_headers(*_given(source, test_source), rules=rules)

    return check_with_headers


def _given(source: str, test_source: str) -> list[str]:
    return [source, test_source] if test_source else [source]
