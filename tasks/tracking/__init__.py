"""Mirror a store's versions, champion and newest candidate in MLflow. Doesn't import Prefect."""
