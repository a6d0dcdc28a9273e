"""Import TensorFlow late and without its start-up messages."""

import os
import sys
import tempfile
from importlib import import_module


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
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"  # overrides ~/.keras/keras.json
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        try:
            import keras  # noqa: F401
            import tensorflow  # noqa: ICN001
        except BaseException:
            messages.seek(0)
            os.write(stderr, messages.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
    tensorflow.get_logger().setLevel("ERROR")  # it warns of networks that are compiled one after the other
