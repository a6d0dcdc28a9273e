"""Metrics of a network's predictions, its abstention threshold, and the gate. Imports no Prefect or TensorFlow."""
