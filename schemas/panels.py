"""The panels of `--help`, in their order.

A model's fields get the panel of the flow's parameter that takes the model; `Annotated[float, AUGMENTATION]` gives a
field another one.
"""

from cyclopts import Group, Parameter


def _panel(name: str, help_text: str = "") -> Parameter:
    return Parameter(group=Group.create_ordered(name, help=help_text))


DATA = _panel("Data")
RECIPE = _panel("Recipe", "The recipe sets what isn't given: docs/reference/recipes.md has its values.")
AUGMENTATION = _panel("Augmentation", "As in the recipe, if not given.")
VALIDATION = _panel("Validation")
GATE = _panel("Gate")
SEARCH = _panel("Search")
AUDIT = _panel("Audit")
COMPUTE = _panel("Compute")
STORE = _panel("Store")
WATCH = _panel("Alarms")
