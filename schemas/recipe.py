"""The recipe: everything that decides how a network is trained, as presets and an override for each field."""

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from schemas.abstention import MIN_PROOF_ROWS
from schemas.errors import FlagError
from schemas.networks import NETWORKS
from schemas.panels import AUGMENTATION

if TYPE_CHECKING:
    NetworkName = str
else:
    NetworkName = Literal[tuple(NETWORKS)]  # a type checker can't know the names, pydantic and the help text can

DEFAULT_NETWORK = "mlp"


class Recipe(BaseModel):
    """Everything that decides how a network is trained. Same recipe, data, code and kind of machine: same weights."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    network: NetworkName = Field(
        description=f"{'; '.join(f'{name}: {network.description}' for name, network in NETWORKS.items())}."
    )
    epochs: int = Field(10, ge=1, le=10_000, description="Passes over the training rows; more on few rows.")
    batch_size: int = Field(32, ge=1, le=65_536, description="Rows per step, at most all training rows.")
    optimizer: Literal["adam", "muon", "sgd"] = Field(
        "adam", description="Adam, Muon with Adam for the biases, or SGD with Nesterov momentum 0.9."
    )
    learning_rate: float = Field(1e-3, gt=0, le=10, description="Peak learning rate.")
    schedule: Literal["constant", "cosine"] = Field(
        "constant", description="Constant learning rate, or cosine decay to 0."
    )
    warmup: float = Field(0, ge=0, le=0.9, description="Share of the steps with a rising learning rate, for cosine.")
    weight_decay: float = Field(0, ge=0, le=10, description="Decoupled weight decay.")
    weight_averaging: float = Field(0, ge=0, lt=1, description="Momentum of the weights' moving average; 0: off.")
    label_smoothing: float = Field(0, ge=0, le=0.5, description="Probability that is spread evenly over all classes.")
    rotation: Annotated[float, AUGMENTATION] = Field(0, ge=0, le=20, description="Rotate by up to n degrees.")
    scaling: Annotated[float, AUGMENTATION] = Field(0, ge=0, le=0.5, description="Scale each axis by up to this share.")
    shear: Annotated[float, AUGMENTATION] = Field(0, ge=0, le=0.5, description="Shear by up to this slope.")
    shift: Annotated[float, AUGMENTATION] = Field(0, ge=0, le=5, description="Shift by up to n pixels.")
    elastic: Annotated[float, AUGMENTATION] = Field(
        0, ge=0, le=3, description="Elastic distortion: standard deviation of 7 × 7 displacements, in pixels."
    )
    validation_fraction: float = Field(
        0.05,
        ge=0,
        le=0.5,
        description="Stratified share of the training rows held out for validation; none of few rows.",
    )
    patience: int = Field(0, ge=0, le=1000, description="Stop after n epochs without a lower validation loss; 0: off.")
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of initial weights, order and augmentation.")

    @property
    def augments(self) -> bool:
        return any((self.rotation, self.scaling, self.shear, self.shift, self.elastic))

    @model_validator(mode="after")
    def _patience_needs_validation(self) -> Self:
        if self.patience and not self.validation_fraction:
            raise FlagError(f"a patience of {self.patience} needs a validation fraction above 0")
        return self


RecipeName = Literal["plain", "fast", "best"]
PRESETS: dict[RecipeName, dict[str, Recipe]] = {
    preset: {name: Recipe(network=name, **network.presets[preset]) for name, network in NETWORKS.items()}
    for preset in get_args(RecipeName)
}
"""The recipes of each preset by network."""
MIN_STEPS: dict[RecipeName, int] = {"plain": 300, "fast": 300, "best": 3000}
"""The least number of training steps: on few rows, a preset makes more epochs."""


def _describe_for_form(schema: dict[str, Any]) -> None:
    """Describe the fields as plain ones that are empty by default, with the presets' values.

    Prefect's form shows a field that may be null as a switch, and sends a default of null, which its server refuses.
    """
    for name, field in schema["properties"].items():
        del field["default"]
        field.update(field.pop("anyOf")[0])  # the other is null
        field["description"] += f" Default: {_preset_values(name)}."


class _Overrides(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, json_schema_extra=_describe_for_form)

    def applied_to(self, preset: RecipeName, n_rows: int | None = None) -> Recipe:
        """Return the preset of the chosen network with the overrides that are set.

        Where the number of rows is known, the fields that aren't overridden follow it.
        """
        changes = self.model_dump()
        recipe = PRESETS[preset][changes.get("network", DEFAULT_NETWORK)]
        recipe = Recipe.model_validate(recipe.model_dump() | changes)
        if n_rows is None:
            return recipe
        proves_nothing = recipe.validation_fraction * n_rows < MIN_PROOF_ROWS
        if proves_nothing and not changes.keys() & {"validation_fraction", "patience"}:
            recipe = recipe.model_copy(update={"validation_fraction": 0.0})
        n_training = n_rows - math.ceil(recipe.validation_fraction * n_rows)
        batch_size = min(recipe.batch_size, n_training)
        n_epochs = math.ceil(MIN_STEPS[preset] / math.ceil(n_training / batch_size))
        fitted = {"batch_size": batch_size, "epochs": max(recipe.epochs, n_epochs)}
        return Recipe.model_validate(recipe.model_dump() | fitted | changes)


def _preset_values(field: str) -> str:
    """Format a field's value in the presets: `0.05`, or `plain 10, best 100; cnn: plain 10, best 30`."""
    if field == "network":
        return DEFAULT_NETWORK
    values = {network: _values_of(field, network) for network in NETWORKS}
    default = values.pop(DEFAULT_NETWORK)
    return "; ".join([default, *(f"{network}: {text}" for network, text in values.items() if text != default)])


def _values_of(field: str, network: str) -> str:
    values = {preset: getattr(recipes[network], field) for preset, recipes in PRESETS.items()}
    texts = {preset: f"{value:g}" if isinstance(value, float) else f"{value}" for preset, value in values.items()}
    same = set(texts.values())
    return same.pop() if len(same) == 1 else ", ".join(f"{preset} {text}" for preset, text in texts.items())


def _override(name: str) -> Any:  # noqa: ANN401, a field definition for `create_model`
    """Make a field of the recipe optional."""
    field = Recipe.model_fields[name]
    annotation: Any = field.annotation
    for detail in field.metadata:  # bounds, and the panel
        annotation = Annotated[annotation, detail]
    return (annotation | None, Field(None, description=field.description, exclude_if=lambda value: value is None))


Overrides: Any = create_model(
    "Overrides",
    __base__=_Overrides,
    __doc__="Fields of the recipe that differ from the preset.",
    **{name: _override(name) for name in Recipe.model_fields},
)
