"""What a run leaves behind: the report, its figures, and the store of versions. Knows no Prefect and no TensorFlow."""
