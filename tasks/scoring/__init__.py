"""Metrics of a network's predictions, its abstention threshold, and the gate. Doesn't import Prefect or TensorFlow."""
