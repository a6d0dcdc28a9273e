"""Import TensorFlow late and quietly."""

import os
import sys
import tempfile
from importlib import import_module


def preload(*modules: str) -> None:
    """Import TensorFlow and modules that are needed later; for who has time to spare."""
    import_tensorflow()
    for name in (*modules, "pandera.backends.pandas.builtin_checks"):  # pandera imports these on its first check
        import_module(name)


def import_tensorflow() -> None:
    """Import TensorFlow and Keras; later calls cost nothing.

    Its C++ prints a page about oneDNN and CUDA before it reads the log level that would silence it, so descriptor 2
    goes to a file for the length of the import; if the import fails, what was printed is given back.
    """
    if "keras" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever the person's ~/.keras/keras.json says
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 2)
        try:
            import keras  # noqa: F401
            import tensorflow  # noqa: F401, ICN001
        except BaseException:
            printed.seek(0)
            os.write(original, printed.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)
