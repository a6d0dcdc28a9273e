"""Read and merge an inbox as the flow does, in this process."""

import dataclasses

import numpy as np

from artifacts.store.store import Store
from schemas.rules import DEFAULT_RULES
from tasks import read_inbox
from tasks.inbox import child
from tasks.inbox.merger import InboxMerger, add_accepted
from tasks.orchestration import process_inbox
from tasks.validation import profiles
from tasks.validation.check_rows import check_frame
from tasks.validation.labels import LabelChecker

CHECKER = LabelChecker(profiles.load_embedded())


def put(path, pixels, labels):
    """Write an .npz file."""
    np.savez(path, x=pixels, y=labels)


class InProcess:
    """Read files without a child process, which takes a second to start."""

    def __init__(self, rules):
        self.rules = rules

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def read(self, path, *, is_accepted):
        return child.read(path, self.rules, is_accepted=is_accepted)


def read(base, inbox, rules=DEFAULT_RULES):
    return read_inbox.read_inbox.fn(base, inbox, rules, Store(inbox.parent / "store"))


def process(raw, rules=DEFAULT_RULES):
    """Accept or reject the inbox's files; return the source with their rows behind its own."""
    parts = {part: check_frame(rows, rules.repair) for part, rows in raw.parts.items()}
    merging = InboxMerger(raw, parts, rules, CHECKER)
    add_accepted(merging) if raw.inbox is None else process_inbox.accept_or_reject_files(merging, raw.inbox)
    raw, train = merging.merged()
    return dataclasses.replace(raw, train=train.read_input(np.arange(train.n_input)))


def merge(base, inbox, rules=DEFAULT_RULES):
    return process(read(base, inbox, rules), rules)
