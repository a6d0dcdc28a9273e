"""The prediction report: markdown for the Prefect UI, a few lines for the terminal.

To add a section with its plots, add an entry to `SECTIONS`.
"""

from __future__ import annotations

from collections.abc import Sequence

from artifacts.reports import markdown, plots
from artifacts.reports.markdown import Address, Section, bold, code, inert, table
from schemas.abstention import level_text
from schemas.counts import count
from schemas.digits import CLASSES
from schemas.prediction import FILE_FAULTS, Example, Prediction
from schemas.results import ScoredPredictions, interval_text
from schemas.row_checks import ROW_CHECKS
from schemas.text import printable


def prediction_report(prediction: Prediction, address: Address) -> str:
    """Format the report; `address` returns the address of a plot by its name."""
    return f"{_headline(prediction)}\n\n{markdown.render(SECTIONS, prediction, address)}\n"


def summary(prediction: Prediction) -> str:
    """Format a line for each of a few images, or a table, and a few lines for the terminal."""
    is_few = prediction.n_predicted <= len(prediction.least_confident)
    lines = _answers(prediction) if is_few else _table(prediction)
    lines += ["", f"version {prediction.version}: {count(prediction.n_rows, 'image')} of {prediction.source}"]
    if prediction.score:
        lines.append(_score(prediction.score))
    lines.append(f"unlike the training images: {prediction.unlike_training:,}")
    if prediction.invalid:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in prediction.invalid.items())
        lines.append(f"without a prediction: {reasons}")
        lines += [f"  {name_and_reason}" for name_and_reason in prediction.unpredicted]
    lines += prediction.notes
    lines += [f"{finding.severity}: {finding.message}" for finding in prediction.findings]
    return "\n".join(map(printable, lines))


def _answers(prediction: Prediction) -> list[str]:
    examples = sorted(prediction.least_confident, key=lambda example: example.item)
    return [
        f"{example.item}: {example.label}, {example.confidence:.1%} sure"
        + (f"; {'it abstains' if example.abstained else 'doubtful'}: {example.reason}" if example.reason else "")
        for example in examples
    ]


def _table(prediction: Prediction) -> list[str]:
    rows = [(str(label), prediction.labels[label], prediction.abstained[label]) for label in CLASSES]
    rows.append(("all", prediction.n_predicted, prediction.abstained.sum()))
    return [f"{'digit':>5}  {'images':>12}  {'abstained':>9}", *(f"{d:>5}  {n:>12,}  {a:>9,}" for d, n, a in rows)]


def _headline(prediction: Prediction) -> str:
    pace = prediction.n_rows / prediction.seconds
    text = (
        f"# {inert(prediction.source)}: {count(prediction.n_rows, 'image')}\n\n"
        f"Predicted by version {prediction.version} in {prediction.seconds:.1f} s, {pace:,.0f} images per second, and "
        f"written to {code(prediction.output)}."
    )
    return f"{text}\n\n**{_score(prediction.score)}**" if prediction.score else text


def _score(score: ScoredPredictions) -> str:
    text = (
        f"accuracy {score.accuracy:.2%} of {count(score.n_rows, 'image')} with a label "
        f"({interval_text(score.interval)}), {count(score.errors, 'mistake')}"
    )
    accepted = score.abstention
    if accepted.accuracy is None:
        return text
    return f"{text}; accuracy {accepted.accuracy:.2%} on the {accepted.coverage:.2%} that it doesn't abstain from"


def _digits(prediction: Prediction, _address: Address) -> str:
    total = max(prediction.n_predicted, 1)
    rows = [
        [bold(label), count, f"{count / total:.1%}", prediction.abstained[label]]
        for label, count in zip(CLASSES, prediction.labels, strict=True)
    ]
    rows.append(["all", prediction.n_predicted, "", prediction.abstained.sum()])
    return table(["digit", "images", "share", "abstained"], rows)


def _invalid(prediction: Prediction, _address: Address) -> str:
    if not prediction.invalid:
        return ""
    rows = [[reason, _meaning(reason), count] for reason, count in prediction.invalid.items()]
    return table(["failed check", "meaning", "images"], rows, left=2)


def _meaning(reason: str) -> str:
    return FILE_FAULTS.get(reason) or "; ".join(ROW_CHECKS[name].reason for name in reason.split("; "))


def _confidence(prediction: Prediction, address: Address) -> str:
    if prediction.threshold is None:
        text = "The version has no confidence threshold, so it abstained from all images."
    else:
        proof = f": {level_text(prediction.level)}" if prediction.level else ""
        text = (
            f"Below a confidence of {prediction.threshold:.4f} the version abstains. The threshold was chosen on "
            f"held-out rows{proof}, for images like these. It abstained from {prediction.abstained.sum():,}."
        )
    parts = [text, f"![Confidence]({address('confidence')})"]
    if prediction.least_confident:
        parts += [f"![Least confident]({address('least_confident')})", *_reasons(prediction.least_confident)]
    return "\n\n".join(parts)


def _reasons(examples: Sequence[Example]) -> list[str]:
    """Return a table of those examples that aren't to be trusted, if any, with the reasons."""
    rows = [
        [example.item, f"{example.label} ({example.confidence:.1%})", example.reason]
        for example in examples
        if example.reason
    ]
    return [table(["image", "answer", "why not to trust it"], rows, left=3)] if rows else []


def _similarity(prediction: Prediction, address: Address) -> str:
    share = prediction.unlike_training / max(prediction.n_predicted, 1)
    text = (
        f"Unlike the training images: {count(prediction.unlike_training, 'image')} ({share:.2%}), further from their "
        "mean than all but one in a thousand of these, measured along the principal components and off them."
    )
    if not prediction.least_similar:
        return text
    return "\n\n".join([text, f"![Least similar]({address('least_similar')})", *_reasons(prediction.least_similar)])


def _drift(prediction: Prediction, address: Address) -> str:
    picture = f"![The mean image of each class, and drift]({address('data')})"
    return f"{markdown.drift(prediction.drifts, prediction.reference)}\n\n{picture}" if prediction.drifts else picture


SECTIONS = (
    Section("", lambda p, _address: markdown.findings(p.findings)),
    Section("How it was read", lambda p, _address: markdown.notes(p.notes)),
    Section("Predicted digits", _digits),
    Section("Images without a prediction", _invalid),
    Section(
        "Confidence",
        _confidence,
        {
            "confidence": lambda p: plots.confidence_histogram(p.confidences, p.threshold),
            "least_confident": lambda p: plots.example_sheet("Least confident", p.least_confident),
        },
    ),
    Section(
        "Confusion matrix",
        lambda p, address: markdown.confusion_matrix(p.score.confusion_matrix, address) if p.score else "",
        {
            "confusion_matrix": lambda p: (
                plots.confusion_heatmap(p.score.confusion_matrix, p.score.accuracy) if p.score else None
            )
        },
    ),
    Section(
        "Similarity to the training images",
        _similarity,
        {"least_similar": lambda p: plots.example_sheet("Least similar to the training images", p.least_similar)},
    ),
    Section("Drift", _drift, {"data": lambda p: plots.data_sheet(p.class_means, p.reference_means, p.drifts)}),
)
"""`write` gets the prediction, `p`, and `address`; the functions of the plots get the prediction."""
