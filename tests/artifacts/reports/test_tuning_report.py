"""The report of a tuning."""

import dataclasses
import re

import pytest

from artifacts.reports import markdown, plots, tuning_report
from schemas.recipe import PRESETS
from schemas.tuning import Gain, Trial, Tuning

START = PRESETS["fast"].recipes["mlp"]
BETTER = START.model_copy(update={"epochs": 40, "rotation": 9.5})


@pytest.fixture
def tuning():
    trials = (
        Trial(0, "complete", START, 0.96),
        Trial(1, "pruned", BETTER.model_copy(update={"rotation": 3.0})),
        Trial(2, "failed", BETTER.model_copy(update={"rotation": 4.0}), None, "`out of | memory`"),
        Trial(3, "complete", BETTER, 0.97),
    )
    return Tuning(
        source="digits.csv",
        start=START,
        trials=trials,
        importance={"epochs": 0.7, "rotation": 0.3},
        seeds=(1, 2),
        confirmed=((START, (0.96, 0.962)), (BETTER, (0.97, 0.968))),
        winner=BETTER,
        test=Gain(1000, 0.965, 0.004, (-0.001, 0.009)),
        output="tuned.toml",
    )


def test_report_says_what_the_recipe_brings_and_how_sure_that_is(tuning):
    text = tuning_report.tuning_report(tuning, markdown.as_links)
    for part in (
        "# A better recipe: digits.csv",
        "tuned.toml has a better recipe: +0.80 points on held-out rows, +0.40 (-0.10 to +0.90) on 1,000 test rows",
        "96.50% with the starting recipe, 96.90% with the best. The interval includes 0: the difference may be luck.",
        "| epochs | 14 | 40 |",
        "| starting recipe | 96.00% | 96.20% | 96.10% |",
        "| finalist 1, the best recipe | 97.00% | 96.80% | 96.90% |",
        "2 complete, 1 ended early, 1 failed.",
    ):
        assert part in text.replace("\\", ""), part


def test_report_says_plainly_if_nothing_is_better(tuning):
    text = tuning_report.tuning_report(dataclasses.replace(tuning, winner=None, test=None), markdown.as_links)
    assert text.startswith("# Not better than what you have: digits.csv")
    assert "nothing was written" in text
    assert "Test part" not in text


def test_every_plot_that_the_report_shows_is_drawn(tuning):
    few = dataclasses.replace(
        tuning, trials=tuning.trials[:1], importance={}, confirmed=tuning.confirmed[:1], winner=None
    )
    for result in (tuning, few):
        text = tuning_report.tuning_report(result, markdown.as_links)
        assert sorted(re.findall(r"\((\w+)\.png\)", text)) == sorted(plots.draw(tuning_report.SECTIONS, result))
