"""Machinery of `evaluate`: figures from labels and probabilities. Knows no Prefect and no TensorFlow."""
