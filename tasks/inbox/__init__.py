"""The inbox: a folder of new files whose rows join a source's training part. Knows no Prefect."""
