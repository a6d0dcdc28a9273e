"""Predict which digits images show, with the champion or another version.

Run it with `python flows/predict_flow.py --input scans/`; `--help` lists the parameters.
"""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from prefect import State, flow
from prefect.states import Completed
from pydantic import Field

from artifacts.store.store import Store
from flows import command_line
from schemas.prediction import Prediction
from schemas.rules import DEFAULT_INPUT_RULES, InputRules
from tasks.open_version import open_version
from tasks.predict import check_output, predict, preload
from tasks.report_prediction import report_prediction
from tasks.sources import inputs


def check(input: str, version: int | None, store: str, output: Path, **_own_bounds: object) -> int:  # noqa: A002
    """Refuse what can't work, before anything is started; give the version that is meant."""
    check_output(output)
    inputs.check(input, output)
    meant = Store(store).resolve_version(version)
    Store(store).check_intact(meant)
    return meant


@flow(name="predict", flow_run_name="predict {input}")
def predict_flow(  # noqa: PLR0913, what a person may want to change
    input: str = "mnist",  # noqa: A002, the word for it
    version: int | None = None,
    store: str = "store",
    output: Path = Path("predictions.csv"),
    rules: Annotated[InputRules, Parameter(name="*")] = DEFAULT_INPUT_RULES,
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 16_384,
) -> State[Prediction]:
    """Predict which digits images show, and how far to trust that.

    Args:
        input: mnist, fashion-mnist, a picture, an .npz, .csv, .parquet or IDX file, a folder, a pattern or an address.
        version: The number of the version to ask; the champion if there is none.
        store: The folder that keeps the versions, or an object store's address.
        output: The file to write, .csv or .parquet: each image's label, how sure, and whether to trust it.
        rules: What the images have to keep.
        batch_size: Images that are in memory at a time.
    """
    predictor = open_version(store, check(input, version, store, output))
    prediction = report_prediction(predict(input, predictor, output, rules, batch_size))
    return Completed(message=prediction.summary, data=prediction)


NOTHING = "interrupted; nothing was written"

if __name__ == "__main__":
    command_line.run(
        predict_flow, check=check, summary=command_line.prediction_summary, preload=preload, interrupted=NOTHING
    )
