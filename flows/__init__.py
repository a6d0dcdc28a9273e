"""Entry points: each module defines one Prefect flow, which is also a script."""
