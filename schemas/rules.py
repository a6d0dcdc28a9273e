"""Rules for validating data: repairs, test split, quarantine, drift, limits."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.panels import COMPUTE, DATA

Repair = Literal[
    "scale", "invert", "transpose", "mirror", "flip", "rotate90", "rotate180", "rotate270", "antitranspose", "resize"
]
Severity = Literal["error", "warning"]


class InputRules(BaseModel):
    """Rules for images that are trained on or predicted on."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    repair: Annotated[tuple[Repair, ...], DATA] = Field(
        (), description="Repairs to make on all images, in this order, before they are checked."
    )
    label_column: Annotated[str, DATA] = Field(
        "", description="Name, or number from 1, of a table's column of labels, if it isn't recognised."
    )
    header: Annotated[Literal["auto", "yes", "no"], DATA] = Field(
        "auto", description="Whether CSV files have a header, if it isn't recognised."
    )
    max_label_drift: float = Field(
        0.1, ge=0, le=1, description="Maximum drift of label shares: Jensen-Shannon distance."
    )
    max_ink_drift: float = Field(0.25, ge=0, description="Maximum drift of mean ink: population stability index.")
    max_shape_drift: float = Field(
        0.25, ge=0, description="Maximum drift of shape: population stability index of any principal component."
    )
    drift: Severity = Field("warning", description="Whether drift is reported or stops the run.")
    max_picture_pixels: int = Field(50_000_000, ge=784, description="Maximum number of pixels of a picture.")
    max_expanded_mib: int = Field(
        4096, ge=1, description="Maximum MiB after decompression of a source that is unpacked or read at once."
    )


class Rules(InputRules):
    """Rules for data that is trained on."""

    relabel: Annotated[str, DATA] = Field(
        "",
        pattern=r"^(\d+=\d(,\d+=\d)*)?$",
        description="Digits that labels stand for, as label=digit: 1=7,7=1, or 10=0. Other labels stay as they are.",
    )
    wrong_labels: Severity = Field(
        "error", description="Whether labels that contradict the images stop the run or are only reported."
    )
    correct_test_labels: Annotated[bool, DATA] = Field(
        default=False, description="Whether corrections change test rows, too; the accuracy then is of other labels."
    )
    test_fraction: Annotated[float, DATA] = Field(
        0.15, gt=0, lt=1, description="Share of rows to test with, if the source has no test part."
    )
    test_seed: Annotated[int, DATA] = Field(
        0, ge=0, lt=2**31, description="Seed of that split; adding rows moves no existing one."
    )
    max_quarantined: float = Field(0.01, ge=0, le=1, description="Maximum share of a part's rows in quarantine.")
    min_class_share: float = Field(
        0.01, ge=0, le=0.1, description="Share of training rows below which a class is reported."
    )
    min_test_rows: int = Field(100, ge=1, description="Minimum number of test rows.")
    memory: Annotated[int, COMPUTE] = Field(
        2048, ge=1280, description="Memory limit in MiB for a sharded source, at least 1280."
    )


DEFAULT_INPUT_RULES, DEFAULT_RULES = InputRules(), Rules()
