"""Predict batches of images and total the results. Doesn't import Prefect."""
