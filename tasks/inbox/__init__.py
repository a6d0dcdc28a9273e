"""The inbox: a folder of new files whose rows join a source's training part. Doesn't import Prefect."""
