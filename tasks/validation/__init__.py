"""Row checks, data checks, reference profiles and drift, for the task `validate`. Doesn't import Prefect."""
