"""The review queue: which images are worth a person's look, in which order, and as a folder. Doesn't import Prefect."""
