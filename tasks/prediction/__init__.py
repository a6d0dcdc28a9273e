"""Predict batches of images and aggregate the results. Doesn't import Prefect."""
