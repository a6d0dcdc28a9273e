"""The recipe: everything that decides how a network is trained. Presets, recipe files, and overrides."""

import math
import tomllib
from difflib import get_close_matches
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator
from pydantic_core import ErrorDetails

from schemas.abstention import MIN_PROOF_ROWS
from schemas.errors import FlagError, InputError
from schemas.networks import NETWORKS
from schemas.panels import AUGMENTATION
from schemas.tuning import Range

if TYPE_CHECKING:
    NetworkName = str
else:
    NetworkName = Literal[tuple(NETWORKS)]  # a type checker can't know the names, pydantic and the help text can

DEFAULT_NETWORK = "mlp"
TEACHER = {
    "network": "cnn",
    "optimizer": "adam",
    "learning_rate": 0.008,
    "schedule": "cosine",
    "warmup": 0.15,
    "weight_decay": 0.05,
    "weight_averaging": 0.0,
    "label_smoothing": 0.0,
    "patience": 0,
    "teacher_epochs": 0,
}
"""How a teacher is trained; seed, deformations, corruptions and validation fraction are its student's."""
TEACHER_BATCH = 512
MIN_TEACHER_ROWS = 10_000
"""On fewer rows, the presets train without a teacher."""


class Recipe(BaseModel):
    """Everything that decides how a network is trained. Same recipe, data, code and kind of machine: same weights."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    network: NetworkName = Field(
        description=f"{'; '.join(f'{name}: {network.description}' for name, network in NETWORKS.items())}."
    )
    epochs: Annotated[int, Range(0.5, 4, is_factor=True)] = Field(
        10, ge=1, le=10_000, description="Passes over the training rows; more on few rows."
    )
    batch_size: Annotated[int, Range(1 / 4, 1, is_factor=True)] = Field(
        32, ge=1, le=65_536, description="Rows per step, at most all training rows."
    )
    optimizer: Literal["adam", "muon", "sgd"] = Field(
        "adam", description="Adam, Muon with Adam for the biases, or SGD with Nesterov momentum 0.9."
    )
    learning_rate: Annotated[float, Range(1 / 4, 2, is_factor=True)] = Field(
        1e-3, gt=0, le=10, description="Peak learning rate."
    )
    schedule: Literal["constant", "cosine"] = Field(
        "constant", description="Constant learning rate, or cosine decay to 0."
    )
    warmup: Annotated[float, Range(0, 0.5)] = Field(
        0, ge=0, le=0.9, description="Share of the steps with a rising learning rate, for cosine."
    )
    weight_decay: Annotated[float, Range(0, 0.1)] = Field(0, ge=0, le=10, description="Decoupled weight decay.")
    weight_averaging: float = Field(0, ge=0, lt=1, description="Momentum of the weights' moving average; 0: off.")
    label_smoothing: Annotated[float, Range(0, 0.1)] = Field(
        0, ge=0, le=0.5, description="Probability that is spread evenly over all classes."
    )
    teacher_epochs: int = Field(
        0,
        ge=0,
        le=10_000,
        description="Train a cnn for n epochs first, to learn from its predictions, too; 0: off, as on few rows.",
    )
    rotation: Annotated[float, AUGMENTATION, Range(0, 15)] = Field(
        0, ge=0, le=20, description="Rotate by up to n degrees."
    )
    scaling: Annotated[float, AUGMENTATION, Range(0, 0.25)] = Field(
        0, ge=0, le=0.5, description="Scale each axis by up to this share."
    )
    shear: Annotated[float, AUGMENTATION, Range(0, 0.25)] = Field(
        0, ge=0, le=0.5, description="Shear by up to this slope."
    )
    shift: Annotated[float, AUGMENTATION, Range(0, 2)] = Field(0, ge=0, le=5, description="Shift by up to n pixels.")
    elastic: Annotated[float, AUGMENTATION, Range(0, 1.5)] = Field(
        0, ge=0, le=3, description="Elastic distortion: standard deviation of 7 × 7 displacements, in pixels."
    )
    noise: Annotated[float, AUGMENTATION] = Field(
        0, ge=0, le=1, description="Add noise to some images: standard deviation up to this share of white."
    )
    blur: Annotated[float, AUGMENTATION] = Field(
        0, ge=0, le=1, description="Blend some images with the mean of 5 × 5 pixels, up to this share."
    )
    haze: Annotated[float, AUGMENTATION] = Field(
        0, ge=0, le=1, description="Brighten the background of some images unevenly, up to this share of white."
    )
    occlusion: Annotated[float, AUGMENTATION] = Field(
        0, ge=0, le=1, description="Cover some images by a grey bar, up to this share of the side wide."
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
    def teacher(self) -> Self | None:
        """The recipe of the network that labels the images of this training; None without one."""
        if not self.teacher_epochs:
            return None
        batch_size = min(self.batch_size, TEACHER_BATCH)
        return self.model_copy(update=TEACHER | {"epochs": self.teacher_epochs, "batch_size": batch_size})

    @property
    def total_epochs(self) -> int:
        return self.teacher_epochs + self.epochs

    @property
    def deforms(self) -> bool:
        return any((self.rotation, self.scaling, self.shear, self.shift, self.elastic))

    @property
    def corrupts(self) -> bool:
        return any((self.noise, self.blur, self.haze, self.occlusion))

    @property
    def augments(self) -> bool:
        return self.deforms or self.corrupts

    @model_validator(mode="after")
    def _patience_needs_validation(self) -> Self:
        if self.patience and not self.validation_fraction:
            raise FlagError(f"a patience of {self.patience} needs a validation fraction above 0")
        return self


class Preset(NamedTuple):
    """A recipe file's contents: the network unless another is chosen, and the recipe of each network."""

    network: str
    recipes: dict[str, Recipe]
    min_steps: int
    """The least number of training steps: on few rows, more epochs are made."""


class _FileFields(Recipe):
    """The fields of a recipe file."""

    min_steps: int = Field(0, ge=0, le=1_000_000)


def parse_preset(text: str) -> Preset:
    """Parse a recipe file: TOML with fields for all networks, and a table with those that differ for each one.

    Raises InputError with the key that is wrong and what is allowed.
    """
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not TOML: {error}") from error
    fields = {"network": DEFAULT_NETWORK} | {key: value for key, value in values.items() if key not in NETWORKS}
    whole = _validated(fields, "")
    tables = {network: values.get(network, {}) for network in NETWORKS}
    recipes = {network: _of_network(fields | {"network": network}, table) for network, table in tables.items()}
    return Preset(whole.network, recipes, whole.min_steps)


def _of_network(fields: dict[str, Any], table: object) -> Recipe:
    """Return a network's recipe: the fields for all networks, replaced by those of its table."""
    network = fields["network"]
    if not isinstance(table, dict):
        raise InputError(f"{network}: expected a table of fields, [{network}], got {table!r}")
    if unknown := table.keys() & {"network", "min_steps"}:
        raise InputError(f"[{network}] {min(unknown)}: belongs to the top of the file")
    return Recipe.model_validate(_validated(fields | table, f"[{network}] ").model_dump(exclude={"min_steps"}))


def _validated(fields: dict[str, Any], where: str) -> _FileFields:
    try:
        return _FileFields.model_validate(fields, strict=True)
    except ValidationError as error:
        raise InputError("; ".join(f"{where}{_fault(fault)}" for fault in error.errors())) from error
    except FlagError as error:
        raise InputError(f"{where}{error}") from error


def _fault(fault: ErrorDetails) -> str:
    """Format what is wrong with a key: `epochs: Input should be greater than or equal to 1, got 0`."""
    key = fault["loc"][0]
    if fault["type"] == "extra_forbidden":
        if similar := get_close_matches(str(key), [*_FileFields.model_fields, *NETWORKS], 1):
            return f"{key}: unknown; did you mean {similar[0]}?"
        return f"{key}: unknown; expected {', '.join(_FileFields.model_fields)}, or a table of {', '.join(NETWORKS)}"
    return f"{key}: {fault['msg']}, got {fault['input']!r}"


def _load_presets() -> dict[str, Preset]:
    """Return the presets by name, those with the fewest steps first."""
    files = (file for file in resources.files("schemas").joinpath("recipes").iterdir() if file.name.endswith(".toml"))
    presets = {file.name.removesuffix(".toml"): parse_preset(file.read_text("utf-8")) for file in files}
    return dict(sorted(presets.items(), key=lambda item: (item[1].min_steps, item[1].recipes[DEFAULT_NETWORK].epochs)))


PRESETS = _load_presets()
"""The recipes that belong to the project, schemas/recipes/*.toml, by name."""


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

    def applied_to(self, preset: str | Preset, n_rows: int | None = None) -> Recipe:
        """Return a preset's recipe (the preset or its name) for the chosen network, with the overrides that are set.

        Where the number of rows is known, the fields that aren't overridden follow it.
        """
        preset = PRESETS[preset] if isinstance(preset, str) else preset
        changes = self.model_dump()
        recipe = preset.recipes[changes.get("network", preset.network)]
        recipe = Recipe.model_validate(recipe.model_dump() | changes)
        if n_rows is None:
            return recipe
        proves_nothing = recipe.validation_fraction * n_rows < MIN_PROOF_ROWS
        if proves_nothing and not recipe.patience and "validation_fraction" not in changes:
            recipe = recipe.model_copy(update={"validation_fraction": 0.0})
        n_training = n_rows - math.ceil(recipe.validation_fraction * n_rows)
        batch_size = min(recipe.batch_size, n_training)
        fitted = {"batch_size": batch_size, "epochs": max(recipe.epochs, _min_epochs(preset, n_training, batch_size))}
        if recipe.teacher_epochs:
            n_epochs = max(recipe.teacher_epochs, _min_epochs(preset, n_training, min(batch_size, TEACHER_BATCH)))
            fitted["teacher_epochs"] = n_epochs if n_rows >= MIN_TEACHER_ROWS else 0
        return Recipe.model_validate(recipe.model_dump() | fitted | changes)


def _min_epochs(preset: Preset, n_rows: int, batch_size: int) -> int:
    return math.ceil(preset.min_steps / math.ceil(n_rows / batch_size))


def _preset_values(field: str) -> str:
    """Format a field's value in the presets: `0.05`, or `plain 10, best 100; cnn: plain 10, best 30`."""
    if field == "network":
        return DEFAULT_NETWORK
    values = {network: _values_of(field, network) for network in NETWORKS}
    default = values.pop(DEFAULT_NETWORK)
    return "; ".join([default, *(f"{network}: {text}" for network, text in values.items() if text != default)])


def _values_of(field: str, network: str) -> str:
    values = {preset: getattr(contents.recipes[network], field) for preset, contents in PRESETS.items()}
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
