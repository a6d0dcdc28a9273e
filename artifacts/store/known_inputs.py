"""Remember which fingerprint the inputs of a run gave, so that the next run with the same inputs needn't read them."""

from __future__ import annotations

import json

from artifacts.store.records import InputsFile, parse
from artifacts.store.store import Store
from schemas.errors import InputError


def read(store: Store, key: str, digest: str, queue: str) -> str | None:
    """Return the fingerprint that inputs with a digest gave; None if it isn't known, or another champion counts now.

    The data was validated against the champion of that time. The version that it gave may be the champion since then:
    its reference profile is that of the same data. A champion whose files have changed is no reference.
    """
    try:
        record = parse(InputsFile, store.inputs.read(key))
        champion = store.champion()
        if champion is not None:
            store.verified_dir(champion)
        is_own = champion is not None and store.card(champion)["fingerprint"] == record["fingerprint"]
    except (FileNotFoundError, ValueError, InputError):  # what can't be read isn't known
        return None
    is_same = record["inputs"] == digest and record["queue"] in {"", queue}
    return str(record["fingerprint"]) if is_same and (is_own or record["champion"] == champion) else None


def write(  # noqa: PLR0913, the fields of the record
    store: Store, key: str, digest: str, fingerprint: str, champion: int | None, queue: str = ""
) -> None:
    """Replace the record of the last run with the same parameters."""
    record = InputsFile(inputs=digest, fingerprint=fingerprint, champion=champion, queue=queue)
    store.inputs.write(key, f"{json.dumps(record.model_dump())}\n".encode())
