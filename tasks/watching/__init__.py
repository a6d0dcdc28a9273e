"""Check a store for alarms, and write its metrics for Prometheus. Doesn't import Prefect."""
