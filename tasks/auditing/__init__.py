"""Audit labels: find label errors, near-duplicates with other labels and outliers. Doesn't import Prefect."""
