"""The prediction report, in markdown and for the terminal."""

import dataclasses
import re

import numpy as np

from artifacts.reports import markdown, plots, prediction_report
from schemas.prediction import Example


def test_the_report_has_a_section_for_each_aspect(prediction):
    text = prediction_report.prediction_report(prediction, markdown.as_links)
    for part in (
        "# scans/: 1,003 images\n\nPredicted by version 3 in 0.5 s, 2,006 images per second, and written to `out.csv`.",
        "**accuracy 90.00% of 1,000 images with a label (88.00% to 92.00%), 0 mistakes; "
        "accuracy 99.00% on the 95.00% that it doesn't abstain from**",
        "| **warning** | checks | no prediction for 3 of 1,003 images |",
        "## Predicted digits\n\n| digit | images | share | abstained |",
        "| **7** | 100 | 10.0% | 7 |",
        "| all | 1,000 |  | 45 |",
        "## Images without a prediction\n\n",
        "| pixel missing | a pixel has no value | 2 |",
        "Below a confidence of 0.8000 the version abstains.",
        "It abstained from 45.",
        "| scan.png | 7 (53.0%) | between 7 and 1: 53 % and 41 % |",
        "## Confusion matrix\n\n",
        "Unlike the training images: 20 images (2.00%)",
        "| input, ink | 0.300 | 0.250 | **exceeds the threshold** |",
        "| input, labels | 0.010 | 0.100 | within the threshold |",
    ):
        assert part in text, part


def test_every_plot_that_the_report_shows_is_drawn(prediction):
    unlabelled = dataclasses.replace(prediction, score=None, least_confident=(), least_similar=())
    for totals, count in ((prediction, 5), (unlabelled, 2)):
        drawn = plots.draw(prediction_report.SECTIONS, totals)
        text = prediction_report.prediction_report(totals, markdown.as_links)
        assert sorted(re.findall(r"\((\w+)\.png\)", text)) == sorted(drawn)
        assert len(drawn) == count


def test_a_version_without_a_threshold_is_reported_as_such(prediction):
    without = dataclasses.replace(prediction, threshold=None)
    text = prediction_report.prediction_report(without, markdown.as_links)
    assert "The version has no confidence threshold, so it abstained from all images." in text


def test_the_terminal_gets_a_line_for_each_of_a_few_images(prediction):
    examples = tuple(
        Example(item, np.zeros((28, 28), np.uint8), label, sure, 1, abstained=sure < 0.8, reason=reason)
        for item, label, sure, reason in (
            ("b.png", 7, 0.53, "between 7 and 1: 53 % and 41 %"),
            ("a.png", 3, 0.987, ""),
            ("c.png", 3, 0.987, "touches the border"),
        )
    )
    few = dataclasses.replace(
        prediction, n_rows=3, labels=np.bincount([7, 3, 3], minlength=10), least_confident=examples
    )
    lines = prediction_report.summary(few).splitlines()
    assert lines[:4] == [
        "a.png: 3, 98.7% sure",
        "b.png: 7, 53.0% sure; it abstains: between 7 and 1: 53 % and 41 %",
        "c.png: 3, 98.7% sure; doubtful: touches the border",
        "",
    ]


def test_the_terminal_gets_a_short_table(prediction):
    lines = prediction_report.summary(prediction).splitlines()
    assert lines[0].split() == ["digit", "images", "abstained"]
    assert lines[11].split() == ["all", "1,000", "45"]
    assert lines[13:] == [
        "version 3: 1,003 images of scans/",
        "accuracy 90.00% of 1,000 images with a label (88.00% to 92.00%), 0 mistakes; "
        "accuracy 99.00% on the 95.00% that it doesn't abstain from",
        "unlike the training images: 20",
        "without a prediction: 2 pixel missing, 1 blank",
        "warning: no prediction for 3 of 1,003 images",
    ]
