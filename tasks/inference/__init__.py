"""Inference: load saved networks and predict with them. Doesn't import Prefect."""
