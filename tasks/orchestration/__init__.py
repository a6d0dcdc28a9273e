"""What tasks share and what knows Prefect: retries, timing, events, progress, the Ray cluster."""
