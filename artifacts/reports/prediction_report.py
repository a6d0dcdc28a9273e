"""What predicting came to: in markdown for the Prefect UI, in a few lines for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifacts.reports import markdown
from artifacts.reports.markdown import table
from schemas.digits import CLASSES
from schemas.row_checks import ROW_CHECKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.prediction import Prediction, ScoredPredictions


def prediction_report(prediction: Prediction, address: Callable[[str], str]) -> str:
    """Write the report; `address` turns a picture's name into what the markdown refers to."""
    sections = [
        _headline(prediction),
        markdown.findings(prediction.findings),
        f"## What was recognised\n\n{_digits(prediction)}",
        _unanswered(prediction),
        f"## How sure\n\n{_sureness(prediction)}\n\n![Confidence]({address('confidence')})",
    ]
    if prediction.least_sure:
        sections.append(f"![The least sure]({address('least_sure')})")
    if prediction.score:
        sections += [markdown.confusion_matrix(prediction.score.confusion_matrix, address)]
    sections.append(f"## How much like the training images\n\n{_likeness(prediction)}")
    if prediction.least_alike:
        sections.append(f"![Least like the training images]({address('least_alike')})")
    if prediction.drifts:
        sections.append(markdown.drift(prediction.drifts, prediction.reference))
    sections.append(f"![The mean image of each class, and drift]({address('data')})")
    return "\n\n".join(section for section in sections if section) + "\n"


def summary(prediction: Prediction) -> str:
    """Tell a person at a terminal, in a table and a few lines."""
    rows = [(str(label), f"{prediction.labels[label]:,}", f"{prediction.abstained[label]:,}") for label in CLASSES]
    total = ("all", f"{prediction.answered:,}", f"{prediction.abstained.sum():,}")
    lines = [
        f"{digit:>5}  {images:>12}  {abstained:>9}"
        for digit, images, abstained in [("digit", "images", "abstained"), *rows, total]
    ]
    lines += ["", f"version {prediction.version}: {markdown.count(prediction.n_rows, 'image')} of {prediction.source}"]
    if prediction.score:
        lines.append(_score(prediction.score))
    lines.append(f"unlike the training images: {prediction.unlike_training:,}")
    if prediction.unanswered:
        told = ", ".join(f"{count:,} {reason}" for reason, count in prediction.unanswered.items())
        lines.append(f"without an answer: {told}")
    lines += [f"{finding.severity}: {finding.message}" for finding in prediction.findings]
    return "\n".join(lines)


def _headline(prediction: Prediction) -> str:
    pace = prediction.n_rows / prediction.seconds
    parts = [
        f"# {prediction.source}: {markdown.count(prediction.n_rows, 'image')}",
        f"Answered by version {prediction.version} in {prediction.seconds:.1f} s, {pace:,.0f} images a second; written "
        f"to `{prediction.output}`.",
    ]
    if prediction.score:
        parts.append(f"**{_score(prediction.score)}**")
    return "\n\n".join(parts)


def _score(score: ScoredPredictions) -> str:
    low, high = score.interval
    told = (
        f"accuracy {score.accuracy:.2%} of {score.n_rows:,} images with a label ({low:.2%} to {high:.2%}), "
        f"{score.errors:,} mistakes"
    )
    answered = score.answered
    if answered.accuracy is None:
        return told
    return f"{told}; {answered.accuracy:.2%} of the {answered.coverage:.2%} that it doesn't abstain from are right"


def _digits(prediction: Prediction) -> str:
    total = max(prediction.answered, 1)
    rows = [
        [f"**{label}**", f"{count:,}", f"{count / total:.1%}", f"{prediction.abstained[label]:,}"]
        for label, count in zip(CLASSES, prediction.labels, strict=True)
    ]
    rows.append(["all", f"{prediction.answered:,}", "", f"{prediction.abstained.sum():,}"])
    return table(["digit", "images", "share", "abstained"], rows)


def _unanswered(prediction: Prediction) -> str:
    if not prediction.unanswered:
        return ""
    rows = [
        [reason, "; ".join(ROW_CHECKS[name].reason for name in reason.split("; ")), f"{count:,}"]
        for reason, count in prediction.unanswered.items()
    ]
    return "## Without an answer\n\n" + table(["check", "because", "images"], rows, left=2)


def _sureness(prediction: Prediction) -> str:
    if prediction.threshold is None:
        return "The version has no confidence from which on it may answer by itself: it abstained from all."
    return (
        f"Below a confidence of {prediction.threshold:.4f} the version abstains: set on rows held out of its training, "
        f"so that 99.9 % of the other answers are right. It abstained from {prediction.abstained.sum():,}."
    )


def _likeness(prediction: Prediction) -> str:
    share = prediction.unlike_training / max(prediction.answered, 1)
    return (
        f"{prediction.unlike_training:,} images ({share:.2%}) are unlike those that the version was trained on: "
        "further from their mean than one in a thousand of these, along principal components and off them."
    )
