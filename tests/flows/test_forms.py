"""The form of each flow in the Prefect UI: its parameters have descriptions, bounds, and types that the form knows."""

import pytest

from flows.predict_flow import predict_flow
from flows.promote_flow import promote_flow
from flows.train_flow import train_flow
from flows.verify_flow import verify_flow


def test_form_has_every_parameter_with_description_and_bounds():
    schema = train_flow.parameters.model_dump()
    assert {"source", "store", "recipe", "overrides", "rules", "gate", "keep"} <= set(schema["properties"])
    for model in (schema, *schema["definitions"].values()):
        fields = model.get("properties", {})
        assert [name for name, field in fields.items() if not field.get("description")] == []
    epochs = schema["definitions"]["Overrides"]["properties"]["epochs"]
    assert {"type": "integer", "minimum": 1, "maximum": 10_000}.items() <= epochs.items()


@pytest.mark.parametrize("flow", [train_flow, predict_flow, promote_flow, verify_flow])
def test_no_field_of_a_form_is_of_type_none(flow):
    schema = flow.parameters.model_dump()
    models = [schema, *schema["definitions"].values()]
    fields = {name: field for model in models for name, field in model.get("properties", {}).items()}
    assert [name for name, field in fields.items() if "anyOf" in field or field.get("default", "") is None] == []
