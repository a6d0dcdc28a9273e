"""Addresses such as `s3://bucket/digits`, and the credentials that they mustn't contain."""

from __future__ import annotations

import re

from pydantic import Field

USER = r"\b(?!(?:abfss?|wasbs?)://[^/:@\s]*@|file:///|github:)\w{2,}:/+(?:[^/\s]*|[^/:\s]+:(?!\d+/)\S*)@"
"""User name and password; a password may contain slashes. Azure's `container@account`,
GitHub's `organisation:repository@branch` and a local path are neither."""
QUERY = r"\b(?:https?:/+[^?\s]*\?\S*|\w{2,}:/+\S*?\?[^/\s]*=\S*)"
"""A query such as `?token=…`; elsewhere than in `http`, a `?` without `=` is a wildcard."""
ADDRESS = Field(json_schema_extra={"pattern": rf"^(?![\s\S]*(?:{USER}|{QUERY}))"})
"""Type of a flow's parameter: a Prefect server refuses, and doesn't store, a run whose address has credentials."""

_USER, _QUERY = re.compile(USER), re.compile(QUERY)


def redact(text: str) -> str:
    """Return a text with the credentials of the addresses in it replaced by `…`."""
    if ":/" not in text:
        return text
    text = _USER.sub(lambda match: f"{match[0].partition(':/')[0]}://…@", text)
    return _QUERY.sub(lambda match: f"{match[0].partition('?')[0]}?…", text)
