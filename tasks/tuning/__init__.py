"""Tuning: the search space, the study and its trials, and their processes. Doesn't import Prefect."""
