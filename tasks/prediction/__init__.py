"""Predict batches of images and total the results. Knows no Prefect."""
