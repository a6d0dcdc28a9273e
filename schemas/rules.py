"""Rules for validating data: repairs, test split, quarantine, drift, limits."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Repair = Literal[
    "scale", "invert", "transpose", "mirror", "flip", "rotate90", "rotate180", "rotate270", "antitranspose"
]
Severity = Literal["error", "warning"]


class InputRules(BaseModel):
    """Rules for images that are trained on or predicted on."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    repair: tuple[Repair, ...] = Field(
        (), description="Repairs to make on all images, in this order, before they are checked."
    )
    max_label_drift: float = Field(
        0.1, ge=0, le=1, description="Maximum Jensen-Shannon distance of the label shares from the reference's."
    )
    max_ink_drift: float = Field(
        0.25, ge=0, description="Maximum population stability index of the images' mean ink against the reference's."
    )
    max_shape_drift: float = Field(
        0.25, ge=0, description="Maximum population stability index of any principal component's scores."
    )
    drift: Severity = Field("warning", description="Whether drift is only reported or stops the run.")
    max_picture_pixels: int = Field(50_000_000, ge=784, description="Maximum number of pixels of a picture.")


class Rules(InputRules):
    """Rules for data that is trained on."""

    test_fraction: float = Field(
        0.15,
        gt=0,
        lt=1,
        description="Share of the rows to split off as the test part if the source has none.",
    )
    test_seed: int = Field(0, ge=0, lt=2**31, description="Seed of the test split; adding rows moves no existing one.")
    max_quarantined: float = Field(0.01, ge=0, le=1, description="Maximum share of a part's rows in quarantine.")
    min_class_share: float = Field(
        0.01, ge=0, le=0.1, description="Share of the training rows below which a class is reported."
    )
    min_test_rows: int = Field(100, ge=1, description="Minimum number of test rows; metrics of fewer rows mean little.")
    memory: int = Field(
        2048,
        ge=1280,
        description="Memory limit in MiB, at least 1280, for a sharded source: it is read and trained on in blocks.",
    )
    max_expanded_mib: int = Field(4096, ge=1, description="Maximum size of a source in MiB after decompression.")


DEFAULT_INPUT_RULES, DEFAULT_RULES = InputRules(), Rules()
