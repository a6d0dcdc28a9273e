"""Machinery of `load`: where datasets come from. Knows no Prefect."""
