"""Fashion-MNIST, which Keras downloads into its cache, `~/.keras`; later it is read from there, also offline."""

from pathlib import Path

from schemas.errors import UnavailableError, first_line

CACHE_FOLDER = "datasets/fashion-mnist"
URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"  # that of Keras' own loader
# As Zalando published them; Keras' own loader checks nothing.
MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}


def download() -> Path:
    """Download the four IDX files, unless Keras has them in its cache; return their folder."""
    from tasks.inference.start_up import import_tensorflow

    import_tensorflow()  # Keras would import it with start-up messages
    import keras

    try:
        paths = [
            Path(keras.utils.get_file(name, URL + name, file_hash=md5, cache_subdir=CACHE_FOLDER))
            for name, md5 in MD5.items()
        ]
    except Exception as error:  # get_file wraps what urllib raises in plain Exceptions
        raise UnavailableError(
            f"fashion-mnist: can't be downloaded ({first_line(error)}); offline, use a folder with its four IDX files"
        ) from error
    return paths[0].parent
