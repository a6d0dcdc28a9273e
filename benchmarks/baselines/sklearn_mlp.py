"""scikit-learn's `MLPClassifier((128, 64))` with its default settings, an epoch at a time by `partial_fit`."""

from __future__ import annotations

import json

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier
from timing import QUICK_EPOCHS, EpochTimer, flag_parser, load_digits

EPOCHS = 20


def main() -> None:
    """Train and print the metrics."""
    parser = flag_parser(__doc__)
    parser.add_argument(
        "--dtype", default="float64", help="`X / 255.0`, as in the guides, is float64; float32 is faster"
    )
    options = parser.parse_args()

    digits = load_digits()
    x_train, x_test = (
        (images.reshape(-1, 784) / 255.0).astype(options.dtype) for images in (digits.x_train, digits.x_test)
    )
    timer = EpochTimer()
    model = MLPClassifier(hidden_layer_sizes=(128, 64), random_state=options.seed)
    for _ in range(QUICK_EPOCHS if options.quick else EPOCHS):
        model.partial_fit(x_train, digits.y_train, classes=np.arange(10))
        timer.end_epoch(lambda: float(model.score(x_test, digits.y_test)))
    print(json.dumps(timer.to_dict() | {"libraries": {"scikit-learn": sklearn.__version__}}))


if __name__ == "__main__":
    main()
