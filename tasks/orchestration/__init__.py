"""Helpers for tasks that need Prefect: retries, timing, events, progress, and the Ray cluster."""
