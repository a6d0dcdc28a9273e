"""Machinery of `train`: network, augmentation, the compiled epoch, checkpoints. Knows TensorFlow and no Prefect."""
