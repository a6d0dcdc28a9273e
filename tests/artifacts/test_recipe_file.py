"""Recipe files: TOML, read by path, with an error of one line for a bad one."""

import pytest

from artifacts import recipe_file
from schemas.errors import FlagError, InputError
from schemas.recipe import PRESETS, Overrides

OWN = """
network = "cnn"
min_steps = 30
epochs = 3
seed = 7

[cnn]
rotation = 9

[mlp]
optimizer = "sgd"
"""
BAD = {
    "epochs = 0": r"epochs: Input should be greater than or equal to 1, got 0",
    "epochs = '3'": r"epochs: Input should be a valid integer, got '3'",
    "epochs = true": r"epochs: Input should be a valid integer, got True",
    "rotation = nan": r"rotation: Input should be a finite number, got nan",
    "min_steps = -1": r"min_steps: Input should be greater than or equal to 0, got -1",
    "optimizer = 'lion'": r"optimizer: Input should be 'adam', 'muon' or 'sgd', got 'lion'",
    "network = 'vit'": r"network: Input should be 'mlp' or 'cnn', got 'vit'",
    "epoch = 3": r"epoch: unknown; did you mean epochs\?",
    "[vit]\nepochs = 3": r"vit: unknown; expected network, epochs, .*, seed, min_steps, or a table of mlp, cnn",
    "[cnn]\nepochs = 0": r"\[cnn\] epochs: Input should be greater than or equal to 1, got 0",
    "[cnn]\nnetwork = 'mlp'": r"\[cnn\] network: belongs to the top of the file",
    "cnn = 3": r"cnn: expected a table of fields, \[cnn\], got 3",
    "patience = 2\nvalidation_fraction = 0": r"a patience of 2 needs a validation fraction above 0",
    "epochs 3": r"not TOML: Expected '=' after a key",
    "a = " + "[" * 100_000: r"not TOML: ",
    "\x1b[2J": r"not TOML: ",
}
"""Contents of bad recipe files, and what is said about them."""


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "own.toml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def test_recipe_file_has_fields_for_all_networks_and_for_one(write):
    preset = recipe_file.read(write(OWN))
    plain = PRESETS["plain"].recipes
    changes = {"epochs": 3, "seed": 7}
    assert Overrides().applied_to(preset) == plain["cnn"].model_copy(update=changes | {"rotation": 9})
    assert Overrides(network="mlp").applied_to(preset) == plain["mlp"].model_copy(update=changes | {"optimizer": "sgd"})
    assert Overrides(epochs=5).applied_to(preset).epochs == 5


def test_recipe_file_makes_more_epochs_on_few_rows_only_with_min_steps(write):
    assert Overrides().applied_to(recipe_file.read(write(OWN)), n_rows=100).epochs == 8
    assert Overrides().applied_to(recipe_file.read(write("epochs = 3")), n_rows=100).epochs == 3


@pytest.mark.parametrize("name", PRESETS)
def test_name_of_a_preset_is_its_recipe(name):
    assert recipe_file.read(name) is PRESETS[name]


@pytest.mark.parametrize(("content", "message"), BAD.items(), ids=range(len(BAD)))
def test_bad_recipe_file_is_one_line_with_the_key(write, content, message):
    with pytest.raises(InputError, match=rf"^--recipe .*own\.toml: {message}") as error:
        recipe_file.read(write(content))
    assert "\n" not in str(error.value)


def test_file_that_is_missing_or_not_text_is_named(write, tmp_path):
    with pytest.raises(InputError, match=r"gone\.toml: no such file"):
        recipe_file.read("gone.toml")
    with pytest.raises(InputError, match=r"own\.toml: can't be read as UTF-8 text"):
        recipe_file.read(write(b"\xff\xfe"))
    with pytest.raises(FlagError, match=r"--recipe magic: expected plain, fast, robust, best, or the path"):
        recipe_file.read("magic")


def test_recipe_that_was_written_is_read_again(tmp_path):
    recipe = PRESETS["best"].recipes["cnn"].model_copy(update={"learning_rate": 1e-7, "seed": 5})
    recipe_file.write(tmp_path / "own.toml", recipe, "why")
    assert Overrides().applied_to(recipe_file.read(str(tmp_path / "own.toml"))) == recipe
