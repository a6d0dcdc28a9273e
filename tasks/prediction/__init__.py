"""Machinery of `predict`: answers to a batch of images, and what all of them come to. Knows no Prefect."""
