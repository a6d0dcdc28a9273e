"""Machinery of `validate`: checks of rows and of whole data, the reference profile, drift. Knows no Prefect."""
