"""Prefect tasks: one module for each step of a flow."""
