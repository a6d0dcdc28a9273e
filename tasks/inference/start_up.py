"""Import TensorFlow late and without its start-up messages."""

import gc
import os
import resource
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from schemas.errors import InputError, first_line

ADDRESS_SPACE_MIB = 4000
"""Address space that TensorFlow and a small training need; it aborts the process if an allocation fails meanwhile."""


def preload(*modules: str) -> None:
    """Import TensorFlow, and modules that are needed later."""
    import_tensorflow()
    for name in (*modules, "pandera.backends.pandas.builtin_checks"):  # pandera imports these on its first check
        import_module(name)


def import_tensorflow() -> None:
    """Import TensorFlow and Keras, unless they are imported already.

    TensorFlow's C++ code prints lines on oneDNN and CUDA before it reads the log level that would suppress them. So
    file descriptor 2 is redirected to a file during the import; if the import fails, the file is copied to stderr.
    """
    if "keras" in sys.modules:
        return
    check_memory()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"  # overrides ~/.keras/keras.json
    collects = gc.isenabled()
    gc.disable()  # imports leave no garbage
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        try:
            import keras
            import tensorflow  # noqa: ICN001
        except BaseException:
            messages.seek(0)
            os.write(stderr, messages.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            if collects:
                gc.freeze()  # nor do they become garbage: the collector needn't search them again and again
                gc.enable()
    # These override ~/.keras/keras.json, too: weights depend on them.
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    keras.config.set_epsilon(1e-7)
    tensorflow.get_logger().setLevel("ERROR")  # it warns of networks that are compiled one after the other


def limit_threads(threads: int) -> None:
    """Import TensorFlow and bound its threads, as several processes share the cores."""
    import_tensorflow()
    from tensorflow.config import threading

    threading.set_intra_op_parallelism_threads(threads)


def check_memory() -> None:
    """Raise InputError if `ulimit -v` leaves less memory than TensorFlow needs."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < ADDRESS_SPACE_MIB << 20:
        raise InputError(
            f"memory is limited to {limit >> 20:,} MiB, too little for TensorFlow; "
            f"raise the limit with `ulimit -v` to {ADDRESS_SPACE_MIB << 10} or unlimited"
        )


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raise MemoryError, which the command line reports in one line, in place of TensorFlow's own error."""
    import_tensorflow()
    from tensorflow.errors import ResourceExhaustedError

    try:
        yield
    except ResourceExhaustedError as error:
        raise MemoryError(first_line(error)) from error
