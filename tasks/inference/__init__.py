"""A saved network, loaded and queried. Knows no Prefect."""
