"""Rank: show how the store's versions compare, in Prefect."""

from __future__ import annotations

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from artifacts.store import Store
from tasks.stage import stage

LEADERBOARD_KEY, HISTORY_KEY = "leaderboard", "history"


@stage
def rank(store: str) -> None:
    """Publish the table of the last versions, and the plot of their accuracy with promotions and rollbacks."""
    from artifacts import figures, leaderboard, markdown

    versions = Store(store)
    standings = leaderboard.standings(versions)
    champion = versions.champion()
    told = "No champion so far" if champion is None else f"Champion: version {champion}"
    create_table_artifact(leaderboard.table(standings), key=LEADERBOARD_KEY, description=told)
    pictures = {leaderboard.HISTORY: figures.png(figures.history_plot(standings))}
    text = leaderboard.history_report(versions, markdown.embedded(pictures))
    create_markdown_artifact(text, key=HISTORY_KEY, description=told)
