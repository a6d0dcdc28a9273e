"""Predict which digits images show, with the champion or another version.

Run it with `python flows/predict_flow.py --input scans/`; `--help` lists the parameters.
"""

import flows  # noqa: F401, before Prefect

# isort: split
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from prefect import State, flow
from prefect.states import Completed
from pydantic import Field

from artifacts import predictions
from artifacts.store.store import Store
from flows import command_line
from schemas.address import ADDRESS
from schemas.panels import COMPUTE, DATA, STORE, VALIDATION
from schemas.prediction import OutputFormat, Prediction
from schemas.rules import DEFAULT_INPUT_RULES, InputRules
from tasks.open_version import open_version
from tasks.orchestration import run_names
from tasks.orchestration.open_store import open_store
from tasks.predict import predict, preload
from tasks.report_prediction import report_prediction
from tasks.sources import inputs


def check(  # noqa: PLR0913, the parameters that can be checked without reading images
    input: str,  # noqa: A002
    *,
    output: Path,
    version: int,
    store: str,
    archive: str = "",
    format: OutputFormat = "predictions",  # noqa: A002
    strict: bool = False,
    **_others: object,
) -> None:
    """Raise InputError for bad parameters, within a second."""
    predictions.check(output, format)
    inputs.check(input, output, strict=strict or format == "kaggle")
    if archive:
        predictions.check_archive(Path(archive))
        inputs.check(input, Path(archive, output.name))
    versions = Store(store)
    versions.card(versions.resolve_version(version))


def check_with_first(
    input: str,  # noqa: A002
    *,
    rules: InputRules,
    strict: bool,
    **parameters: Any,  # noqa: ANN401, as of `check`
) -> None:
    """Check that the first image can be read, too; a deployed run reports that in the UI, in the task `predict`."""
    check(input, strict=strict, **parameters)
    inputs.check_first(input, rules, strict=strict)


def run_name(input: str, version: int, store: str, **_others: object) -> str:  # noqa: A002
    """Return a name such as `predict scans with version 3`."""
    return f"predict {run_names.source(input)} with {run_names.version(version, store)}"


@flow(name="predict", flow_run_name=run_names.namer(run_name))
def predict_flow(  # noqa: PLR0913, each parameter is a flag and a field of the UI's form
    input: Annotated[str, DATA, ADDRESS] = "mnist",  # noqa: A002, the flag is --input
    *,
    output: Annotated[Path, DATA, ADDRESS] = Path("predictions.csv"),
    archive: Annotated[str, DATA] = "",
    format: Annotated[OutputFormat, DATA] = "predictions",  # noqa: A002, the flag is --format
    strict: Annotated[bool, VALIDATION] = False,
    rules: Annotated[InputRules, Parameter(name="*"), VALIDATION] = DEFAULT_INPUT_RULES,
    batch_size: Annotated[int, Field(ge=1, le=1_000_000), COMPUTE] = 16_384,
    version: Annotated[int, STORE] = 0,
    store: Annotated[str, STORE, ADDRESS] = "store",
    review: Annotated[bool, STORE] = False,
) -> State[Prediction]:
    """Predict which digits images show, and flag the predictions not to trust.

    Args:
        input: mnist, fashion-mnist, a file, a folder, a pattern in quotes, or an address.
        output: The .csv or .parquet file to write: labels, confidences, whether to trust them.
        archive: Folder that also keeps a copy of every run's output, named after its time and run.
        format: predictions, or kaggle: a submission, with ImageId from 1 and Label for every image; implies --strict.
        strict: End the run if one of several files can't be read. Otherwise it is a row without an answer.
        rules: Repairs and drift thresholds for the images.
        batch_size: Images in memory at a time.
        version: Number of the version to use; 0: the champion.
        store: Folder of the versions, or an object store's address.
        review: Add images that a person should look at to the store's review queue.
    """
    if __name__ != "__main__":  # command_line.run has checked a script's parameters
        check(input, output=output, version=version, store=store, archive=archive, format=format, strict=strict)
    versions = open_store(store)
    predictor = open_version(versions, versions.resolve_version(version))
    queue = versions if review else None
    prediction = predict(
        input, predictor, output, rules, batch_size, output_format=format, strict=strict, archive=archive, queue=queue
    )
    prediction = report_prediction(prediction)
    return Completed(message=prediction.summary, data=prediction)


def summary(prediction: Prediction) -> str:
    """Format the counts and the locations of the predictions and the report."""
    from artifacts.reports import prediction_report  # noqa: PLC0415, imports pandas

    return (
        f"\n{prediction_report.summary(prediction)}\n"
        f"predictions: {prediction.output}\n"
        f"Prefect UI:  {command_line.artifact_page(prediction.artifact)}"
    )


if __name__ == "__main__":
    interrupted = "interrupted; nothing was written"
    command_line.run(predict_flow, check_with_first, summary, preload=preload, interrupted=interrupted)
