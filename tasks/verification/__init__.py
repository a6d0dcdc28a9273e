"""Evaluate a version again, from its folder alone, and compare with its card. Doesn't import Prefect."""
