"""The recipe: everything that decides what training does, with its presets and an override for each field."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from schemas.errors import InputError


class Recipe(BaseModel):
    """Everything that decides what training does. Same recipe, data, code and kind of machine: same weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: Literal["mlp", "cnn"] = Field(description="mlp is 784-128-64-10, cnn a small convolutional network.")
    epochs: int = Field(ge=1, le=10_000, description="Passes over the training rows.")
    batch_size: int = Field(ge=1, le=65_536, description="Rows a step.")
    optimizer: Literal["adam", "muon"] = Field(description="Keras' Adam, or its Muon with Adam for the biases.")
    learning_rate: float = Field(gt=0, le=10, description="The optimiser's highest rate.")
    schedule: Literal["constant", "cosine"] = Field(description="Whether the rate stays or falls to 0 as a cosine.")
    warmup: float = Field(ge=0, le=0.9, description="Share of the steps over which a cosine's rate first rises.")
    weight_decay: float = Field(ge=0, le=10, description="Decoupled decay of the weights.")
    weight_averaging: float = Field(ge=0, lt=1, description="Momentum of the weights' moving average; 0 for none.")
    label_smoothing: float = Field(ge=0, le=0.5, description="Probability spread over all classes.")
    rotation: float = Field(ge=0, le=20, description="Augmentation: turn by up to so many degrees.")
    scaling: float = Field(ge=0, le=0.5, description="Augmentation: stretch each side by up to this share.")
    shear: float = Field(ge=0, le=0.5, description="Augmentation: slant by up to this slope.")
    shift: float = Field(ge=0, le=5, description="Augmentation: move by up to so many pixels.")
    elastic: float = Field(ge=0, le=3, description="Augmentation: elastic displacement, standard deviation in pixels.")
    validation_fraction: float = Field(
        ge=0, le=0.5, description="Share of the training rows, stratified, held out to watch the training."
    )
    patience: int = Field(
        ge=0, le=1000, description="End after so many epochs without a lower validation loss; 0 for never."
    )
    seed: int = Field(ge=0, lt=2**31, description="Decides first weights, order and augmentation.")

    @property
    def augments(self) -> bool:
        """Tell whether training deforms the images."""
        return any((self.rotation, self.scaling, self.shear, self.shift, self.elastic))

    @model_validator(mode="after")
    def _patience_needs_validation(self) -> Self:
        if self.patience and not self.validation_fraction:
            raise InputError(f"a patience of {self.patience} needs a validation fraction above 0")
        return self


RecipeName = Literal["plain", "fast"]

_PLAIN = Recipe(
    network="mlp",
    epochs=10,
    batch_size=32,
    optimizer="adam",
    learning_rate=1e-3,
    schedule="constant",
    warmup=0,
    weight_decay=0,
    weight_averaging=0,
    label_smoothing=0,
    rotation=0,
    scaling=0,
    shear=0,
    shift=0,
    elastic=0,
    validation_fraction=0.05,
    patience=0,
    seed=0,
)

PRESETS: dict[RecipeName, Recipe] = {
    "plain": _PLAIN,
    "fast": _PLAIN.model_copy(
        update={
            "epochs": 20,
            "batch_size": 512,
            "optimizer": "muon",
            "learning_rate": 0.01,
            "schedule": "cosine",
            "warmup": 0.2,
            "rotation": 10.0,
            "scaling": 0.1,
            "shear": 0.1,
            "shift": 1.5,
            "elastic": 0.5,
        }
    ),
}


class _Overrides(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def applied_to(self, preset: RecipeName) -> Recipe:
        """Give the preset with the fields changed that were set."""
        return Recipe.model_validate(PRESETS[preset].model_dump() | self.model_dump(exclude_none=True))


def _override(name: str) -> Any:  # noqa: ANN401, a field definition as `create_model` takes it
    """Make a recipe's field optional; its description tells what each preset has."""
    field = Recipe.model_fields[name]
    values = {preset: getattr(recipe, name) for preset, recipe in PRESETS.items()}
    distinct = set(values.values())
    told = (
        f"{distinct.pop()}" if len(distinct) == 1 else ", ".join(f"{value} in {key}" for key, value in values.items())
    )
    kind: Any = field.annotation
    for bound in field.metadata:
        kind = Annotated[kind, bound]
    return (kind | None, Field(None, description=f"{field.description} [recipe: {told}]"))


Overrides: Any = create_model(
    "Overrides",
    __base__=_Overrides,
    __doc__="The recipe's fields that are to differ from the preset.",
    **{name: _override(name) for name in Recipe.model_fields},
)
