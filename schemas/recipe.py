"""The recipe: everything that decides what training does, with its presets and an override for each field."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from schemas.errors import InputError

NetworkName = Literal["mlp", "cnn"]
DEFAULT_NETWORK: NetworkName = "mlp"


AUGMENTATIONS = ("rotation", "scaling", "shear", "shift", "elastic")
"""The fields that deform images while they are trained on; 0 leaves each out."""


class Recipe(BaseModel):
    """Everything that decides what training does. Same recipe, data, code and kind of machine: same weights."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    network: NetworkName = Field(description="mlp is 784-128-64-10, cnn a small convolutional network.")
    epochs: int = Field(ge=1, le=10_000, description="Passes over the training rows.")
    batch_size: int = Field(ge=1, le=65_536, description="Rows a step.")
    optimizer: Literal["adam", "muon", "sgd"] = Field(
        description="Keras' Adam, its Muon with Adam for the biases, or SGD with Nesterov momentum 0.9."
    )
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
    elastic: float = Field(
        ge=0, le=3, description="Augmentation: elastic displacement, standard deviation of its 7 × 7 points in pixels."
    )
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
        return any(getattr(self, name) for name in AUGMENTATIONS)

    @model_validator(mode="after")
    def _patience_needs_validation(self) -> Self:
        if self.patience and not self.validation_fraction:
            raise InputError(f"a patience of {self.patience} needs a validation fraction above 0")
        return self


RecipeName = Literal["plain", "fast", "best"]

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
_FAST = _PLAIN.model_copy(
    update={
        "epochs": 14,
        "batch_size": 1024,
        "optimizer": "muon",
        "learning_rate": 0.014,
        "schedule": "cosine",
        "warmup": 0.3,
        "label_smoothing": 0.02,
        "rotation": 8.0,
        "scaling": 0.07,
        "shear": 0.07,
        "shift": 0.7,
        "elastic": 0.6,
    }
)
_BEST = _FAST.model_copy(
    update={
        "epochs": 100,
        "warmup": 0.15,
        "rotation": 9.0,
        "scaling": 0.08,
        "shear": 0.09,
        "shift": 0.9,
        "elastic": 0.7,
    }
)
_CNN = {
    "network": "cnn",
    "batch_size": 256,
    "optimizer": "adam",
    "learning_rate": 0.006,
    "warmup": 0.15,
    "weight_decay": 0.05,
    "label_smoothing": 0.0,
    "shift": 0.5,
}
_FAST_CNN = _CNN | {"epochs": 8, "rotation": 7.0, "scaling": 0.14, "shear": 0.1}
_BEST_CNN = _CNN | {"epochs": 30, "rotation": 8.0, "scaling": 0.17, "shear": 0.12}

PRESETS: dict[RecipeName, dict[NetworkName, Recipe]] = {
    "plain": {"mlp": _PLAIN, "cnn": _PLAIN.model_copy(update={"network": "cnn"})},
    "fast": {"mlp": _FAST, "cnn": _FAST.model_copy(update=_FAST_CNN)},
    "best": {"mlp": _BEST, "cnn": _BEST.model_copy(update=_BEST_CNN)},
}
"""What was tried to find these, and what each change gave, is in `benchmarks/RECIPES.md`."""


class _Overrides(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def applied_to(self, preset: RecipeName) -> Recipe:
        """Give the preset for the network asked for, with the fields changed that were set."""
        changes = self.model_dump(exclude_none=True)
        networks = PRESETS[preset]
        tuned = networks.get(changes.get("network", DEFAULT_NETWORK), networks[DEFAULT_NETWORK])
        return Recipe.model_validate(tuned.model_dump() | changes)


def _told(name: str) -> str:
    """Tell what a field is in the presets: `0.05`, or `plain 10, best 100; cnn: plain 10, best 30`."""
    told = {network: _of_network(name, network) for network in PRESETS["plain"]}
    general = told.pop(DEFAULT_NETWORK)
    return "; ".join([general, *(f"{network}: {text}" for network, text in told.items() if text != general)])


def _of_network(name: str, network: NetworkName) -> str:
    values = {preset: getattr(networks[network], name) for preset, networks in PRESETS.items()}
    texts = {preset: f"{value:g}" if isinstance(value, float) else f"{value}" for preset, value in values.items()}
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return ", ".join(f"{preset} {text}" for preset, text in texts.items())


def _override(name: str) -> Any:  # noqa: ANN401, a field definition as `create_model` takes it
    """Make a recipe's field optional; its description tells what each preset has."""
    field = Recipe.model_fields[name]
    kind: Any = field.annotation
    for bound in field.metadata:
        kind = Annotated[kind, bound]
    told = DEFAULT_NETWORK if name == "network" else _told(name)
    return (kind | None, Field(None, description=f"{field.description} [recipe: {told}]"))


Overrides: Any = create_model(
    "Overrides",
    __base__=_Overrides,
    __doc__="The recipe's fields that are to differ from the preset.",
    **{name: _override(name) for name in Recipe.model_fields},
)
