"""Too little memory is one line."""

import resource

import pytest

from schemas.errors import InputError
from tasks.inference import start_up


def test_memory_limit_below_what_tensorflow_needs_is_an_input_error(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (2000 << 20, resource.RLIM_INFINITY))
    with pytest.raises(InputError, match=r"memory is limited to 2,000 MiB, .* `ulimit -v` to 4096000"):
        start_up.check_memory()


def test_allocation_that_tensorflow_refuses_is_a_memory_error():
    start_up.import_tensorflow()
    import tensorflow as tf

    with pytest.raises(MemoryError, match="OOM when allocating"), start_up.memory_errors():
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
