"""Evaluate a version again, from its folder only, and compare the results with its card. Doesn't import Prefect."""
