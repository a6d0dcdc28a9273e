"""The checks that each row has to pass, as pandera schemas over *row facts*: a small frame, one line an image.

Whole pixel frames would make pandera carry 785 cells for each failure; facts say the same in a few columns.
"""

from collections.abc import Callable

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from schemas.digits import CLASSES, PIXEL_COUNT

FAINTEST_INK = 64
"""What the brightest pixel of an image has to reach; of MNIST's 70,000 the least is 254."""
BRIGHT = 250
LEAST_GROUND = PIXEL_COUNT // 100
"""How many pixels have to be darker than BRIGHT; of MNIST's 70,000 images the least is 507, inverted ones have 15."""


def _check(name: str, reason: str, passes: Callable[[pd.Series], pd.Series]) -> pa.Check:
    """Build a check that is named and says why a row that fails is set aside."""
    # One failure case each is enough: the verdicts are read from the check's output, and pandera's text joins all.
    return pa.Check(passes, name=name, error=reason, ignore_na=False, n_failure_cases=1)


def _none(values: pd.Series) -> pd.Series:
    return values == 0


PIXELS = pa.DataFrameSchema(
    {
        "missing": pa.Column(int, _check("pixel missing", "a pixel has no value", _none)),
        "infinite": pa.Column(int, _check("pixel not finite", "a pixel is infinite", _none)),
        "outside": pa.Column(int, _check("pixel out of range", "a pixel is below 0 or above 255", _none)),
        "fractional": pa.Column(int, _check("pixel not whole", "a pixel isn't a whole number", _none)),
        "brightest": pa.Column(
            float, _check("blank", f"no pixel reaches {FAINTEST_INK}: no ink", lambda values: values >= FAINTEST_INK)
        ),
        "ground": pa.Column(
            int,
            _check(
                "saturated",
                f"fewer than {LEAST_GROUND} pixels are below {BRIGHT}: no ground",
                lambda count: count >= LEAST_GROUND,
            ),
        ),
    }
)
"""On how many of a row's pixels can't be, on its brightest pixel, and on how many are ground."""

LABELS = pa.DataFrameSchema(
    {
        "label": pa.Column(
            nullable=True,
            checks=[
                _check("label missing", "there is no label", lambda label: label.notna()),
                _check(
                    "label unknown", "the label isn't one of 0 to 9", lambda label: label.isna() | label.isin(CLASSES)
                ),
            ],
        ),
    }
)
"""On a row's label."""

COPIES = pa.DataFrameSchema(
    {
        "contradicts": pa.Column(
            bool, _check("contradiction", "the same image came with another label, too", lambda x: ~x)
        ),
        "repeats": pa.Column(bool, _check("duplicate", "the same image came in an earlier row", lambda x: ~x)),
        "leaks": pa.Column(bool, _check("leak", "the same image is among the test rows", lambda x: ~x)),
    }
)
"""On rows whose values are right: whether the image contradicts, repeats, leaks."""


def failures(schema: pa.DataFrameSchema, facts: pd.DataFrame) -> dict[str, pd.Series]:
    """Give, for each check that some row fails, by its name, which rows do."""
    try:
        schema.validate(facts, lazy=True, inplace=True)  # nothing is changed: else it would check a copy
    except SchemaErrors as errors:
        return {error.check.name: ~error.check_output.astype(bool) for error in errors.schema_errors}
    return {}


def _checks(*schemas: pa.DataFrameSchema) -> list[pa.Check]:
    return [check for schema in schemas for column in schema.columns.values() for check in column.checks]


MEANINGS: dict[str, str] = {str(check.name): str(check.error) for check in _checks(LABELS, PIXELS, COPIES)}
"""What each check says of a row that fails it, by the check's name."""
