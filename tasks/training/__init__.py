"""Training: networks, augmentation, the compiled loop, checkpoints and engines. Doesn't import Prefect."""
