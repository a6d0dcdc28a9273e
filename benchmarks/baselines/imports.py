"""Import the libraries that the flow needs, Prefect left out: a start-up that no orchestration can go below."""

import gc
from importlib import import_module

gc.disable()  # as the flow does: imports leave no garbage
for name in ("tensorflow", "keras", "pandas", "pandera.pandas", "sklearn.model_selection", "scipy.stats", "seaborn"):
    import_module(name)
gc.freeze()  # as the flow does: no collection at the exit
print("{}")
