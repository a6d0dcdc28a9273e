"""Update leaderboard: publish a comparison of the store's versions in Prefect."""

from __future__ import annotations

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from artifacts.store.store import Store
from tasks.orchestration.retries import RETRIED


@task(task_run_name="update leaderboard", **RETRIED)
def update_leaderboard(store: Store) -> None:
    """Publish the table of the last versions, and the plot of their accuracy with promotions and rollbacks."""
    from artifacts.reports import leaderboard, markdown, plots

    history, champion = store.history(leaderboard.MAX_EVENTS), store.champion()
    summaries = leaderboard.summaries(store, history)
    description = "No champion so far" if champion is None else f"Champion: version {champion}"
    table = [summary.row for summary in reversed(summaries)]
    create_table_artifact(markdown.inert_rows(table), key="leaderboard", description=description)
    pictures = {leaderboard.HISTORY: plots.png(plots.history_plot(summaries))}
    text = leaderboard.history_report(history, markdown.as_data_uris(pictures))
    create_markdown_artifact(text, key="history", description=description)
