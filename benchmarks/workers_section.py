"""What workers that share each batch cost here, as measured, and what a cluster of them would give, computed."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from summary import spread
from tables import in_percent, in_seconds, table, times

if TYPE_CHECKING:
    from collections.abc import Iterable

    from records import Large, Portions, Shared
    from summary import Spread

LATENCY_SECONDS, BYTES_A_SECOND = 50e-6, 1.25e9
"""Between machines of a rack, whose network has 10 Gbit/s; assumed, not measured."""
CLUSTERS = (2, 8, 64)
HERE = 2


def section(large: Large) -> list[str]:
    """Write the section; nothing where nothing was measured."""
    cases = list(dict.fromkeys(one.case for one in large.shared))
    portions = {case: found[0] for case in cases if (found := large.portions_of(case))}
    if not cases:
        return []
    return [
        "### Workers that share each batch",
        table(
            (
                "",
                "Rows",
                "This process",
                "One Ray worker",
                "Two",
                "Cost a row, two to this process",
                "Start and end, two",
            ),
            [_cost(large, case) for case in cases],
        ),
        "Seconds of an epoch, medians without the first, which compiles; two workers have a core each. Start and end "
        "are what a training by two takes beside its epochs: Ray starts processes that import TensorFlow, they agree "
        "on their weights and save them after each block.",
        table(("Test accuracy", "This process", "Two workers"), [_accuracy(large, case) for case in cases]),
        table(
            ("A batch", "by two workers", "by one process on both cores", "exchange of gradients", "the rest"),
            [_where(large, one) for one in portions.values()],
        ),
        "The exchange is between two processes that do nothing else. The rest is what each worker does whole on its "
        "one core, the update of all weights above all, the reading of all rows by both, and the waiting for each "
        "other.",
        table(
            ("A batch", "Rows", "Gradients", "by one machine", *(f"by {count}" for count in CLUSTERS), "8 pay from"),
            [_computed(large, one) for one in portions.values()],
        ),
        "Computed, not measured: each machine, one like this, computes its portion (measured), and the gradients go "
        "once around a ring and back: 2 (n - 1) messages of an n-th of them, each at the cost of a message between two "
        f"processes here and {LATENCY_SECONDS * 1e6:.0f} µs on the way, at 10 Gbit/s. No batch takes less than the "
        "reading of its rows from disk (measured): each machine reads all. In brackets how many times faster than one "
        "machine that is; below 1 it doesn't pay. The last column is the batch from which on eight machines compute "
        "and exchange faster than one computes.",
    ]


def exchange_seconds(portions: Portions, machines: int) -> float:
    """Give what an exchange of gradients takes among so many machines: a ring's messages and bytes."""
    hops = 2 * (machines - 1)
    here = median(portions.exchange_seconds) / (2 * (HERE - 1))
    return hops * (here + LATENCY_SECONDS) + hops / machines * portions.gradient_bytes / BYTES_A_SECOND


def batch_seconds(portions: Portions, machines: int, read_seconds: float) -> float:
    """Give what a batch takes that so many machines share, each of which reads all rows meanwhile, a row in so long."""
    computed = median(portions.portion_seconds[str(machines)])
    shared = computed + (exchange_seconds(portions, machines) if machines > 1 else 0)
    return max(shared, portions.batch * read_seconds)


def paying_batch(portions: Portions, machines: int) -> float:
    """Give how many rows a batch must have for so many machines to be faster than one."""
    saved = median(portions.portion_seconds["1"]) - median(portions.portion_seconds[str(machines)])
    return portions.batch * exchange_seconds(portions, machines) / saved


def _cost(large: Large, case: str) -> tuple[str, ...]:
    alone, one, two = (large.shared_of(case, workers) for workers in (0, 1, HERE))
    return (
        case,
        f"{alone[0].rows:,}",
        *(in_seconds(_epochs(found)) for found in (alone, one, two)),
        times(_epochs(two), _epochs(alone)),
        in_seconds(spread(run.seconds - sum(run.epoch_seconds) for run in two)),
    )


def _accuracy(large: Large, case: str) -> tuple[str, ...]:
    found = (large.shared_of(case, workers) for workers in (0, HERE))
    return (case, *(in_percent(spread(run.accuracy for run in runs)) for runs in found))


def _where(large: Large, portions: Portions) -> tuple[str, ...]:
    runs = large.shared_of(portions.case, HERE)
    batches = -(-runs[0].rows // portions.batch)
    by_two = median(seconds for run in runs for seconds in run.epoch_seconds[1:]) / batches
    whole, exchange = median(portions.portion_seconds["1"]), median(portions.exchange_seconds)
    return (portions.case, *map(_milliseconds, (by_two, whole, exchange, by_two - whole - exchange)))


def _computed(large: Large, portions: Portions) -> tuple[str, ...]:
    reading = median(run.read_seconds for run in large.shared_of(portions.case, 0))
    alone, *shared = (batch_seconds(portions, count, reading) for count in (1, *CLUSTERS))
    return (
        portions.case,
        f"{portions.batch:,}",
        f"{portions.gradient_bytes / 1e6:.2f} MB",
        _milliseconds(alone),
        *(f"{_milliseconds(seconds)} ({alone / seconds:.2f} ×)" for seconds in shared),
        f"{paying_batch(portions, 8):,.0f} rows",
    )


def _epochs(runs: Iterable[Shared]) -> Spread | None:
    return spread(seconds for run in runs for seconds in run.epoch_seconds[1:])


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms"
