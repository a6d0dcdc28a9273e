"""The rules that data is validated against: what is split off, repaired, quarantined, refused."""

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
        0.1, ge=0, le=1, description="Jensen-Shannon distance of the label shares from the reference's."
    )
    max_ink_drift: float = Field(
        0.25, ge=0, description="Population stability index of the images' mean ink against the reference's."
    )
    max_shape_drift: float = Field(
        0.25, ge=0, description="The largest population stability index of a principal component's scores."
    )
    drift: Severity = Field("warning", description="Whether drift stops the run or is a warning in the report.")
    max_picture_pixels: int = Field(50_000_000, ge=784, description="Pixels that a single picture may have.")


class Rules(InputRules):
    """Rules for data that is trained on."""

    test_fraction: float = Field(
        0.15, gt=0, lt=1, description="Share of the rows, stratified, split off to test with where the source has none."
    )
    test_seed: int = Field(
        0, ge=0, lt=2**31, description="Decides which rows are split off; most keep their side when rows are added."
    )
    max_quarantined: float = Field(0.01, ge=0, le=1, description="Share of a part's rows that may be quarantined.")
    min_class_share: float = Field(0.01, ge=0, le=0.1, description="Share of the training rows below which to warn.")
    min_test_rows: int = Field(100, ge=1, description="Test rows below which the metrics would mean nothing.")
    memory: int = Field(
        2048,
        ge=1280,
        description="MiB, 1280 at least, that a sharded source may take: it is read, and trained on, in such blocks.",
    )
    max_expanded_mib: int = Field(
        4096, ge=1, description="MiB that a source may take once expanded; compressed ones are read no further."
    )


DEFAULT_INPUT_RULES, DEFAULT_RULES = InputRules(), Rules()
