"""Import the libraries that the flow needs, Prefect left out: a start-up that no orchestration can go below."""

from importlib import import_module

for name in ("tensorflow", "keras", "pandas", "pandera.pandas", "sklearn.model_selection", "scipy.stats", "seaborn"):
    import_module(name)
print("{}")
