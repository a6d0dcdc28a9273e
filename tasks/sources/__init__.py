"""Source formats and their readers, for the task `load`. Doesn't import Prefect."""
