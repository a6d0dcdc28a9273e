"""scikit-learn's `MLPClassifier((128, 64))` and its default settings on float32, one `partial_fit` an epoch."""

from __future__ import annotations

import json

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier
from timing import QUICK_EPOCHS, EpochTimer, flag_parser, load_digits

EPOCHS = 20


def main() -> None:
    options = flag_parser(__doc__).parse_args()
    digits = load_digits()
    x_train, x_test = (images.reshape(-1, 784).astype("float32") / 255 for images in (digits.x_train, digits.x_test))
    timer = EpochTimer()
    model = MLPClassifier(hidden_layer_sizes=(128, 64), random_state=options.seed)
    for _ in range(QUICK_EPOCHS if options.quick else EPOCHS):
        model.partial_fit(x_train, digits.y_train, classes=np.arange(10))
        timer.end_epoch(lambda: float(model.score(x_test, digits.y_test)))
    print(json.dumps(timer.to_dict() | {"libraries": {"scikit-learn": sklearn.__version__}}))


if __name__ == "__main__":
    main()
