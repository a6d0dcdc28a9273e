"""Metrics of a network's predictions, its abstention threshold, and the gate. Knows no Prefect and no TensorFlow."""
