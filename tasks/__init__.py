"""One module a step, each with one short Prefect task."""
