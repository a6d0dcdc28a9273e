"""Results of a training and of a prediction, to report."""

import numpy as np
import pandas as pd
import pytest

from schemas.abstention import Abstention
from schemas.gate import Comparison, CorruptionComparison, Decision, SliceTest
from schemas.images import InMemoryImages
from schemas.pixel_frame import LABELLED_COLUMNS
from schemas.prediction import Example, Prediction
from schemas.recipe import PRESETS
from schemas.results import ClassMetrics, Dataset, Evaluation, Mistake, ScoredPredictions, TrainingResult
from schemas.run import Resources, Run
from schemas.slices import CorruptedAnswers, SliceMetrics
from schemas.training import EpochRecord
from schemas.validation import CheckResult, Drift, LabelAgreement, Validation
from tasks.validation import profiles


@pytest.fixture(scope="session")
def validation() -> Validation:
    """Return the validation of an MNIST with one bad row."""
    row = pd.DataFrame([["train", "7", "blank; label missing", np.nan, *[0.0] * 784]])
    row.columns = ["part", "item", "reasons", *LABELLED_COLUMNS]
    return Validation(
        name="mnist",
        source="mnist",
        test_source=None,
        added=(),
        rules={},
        n_input={"train": 60_001, "test": 10_000},
        n_valid={"train": 60_000, "test": 10_000},
        n_quarantined={"train": 1, "test": 0},
        reasons={"label missing": {"train": 1, "test": 0}, "blank": {"train": 1, "test": 0}},
        quarantined=row,
        findings=(CheckResult("drift", "warning", "train part: ink drifted by 0.30 from the reference"),),
        drifts=(Drift("train", "ink", 0.3, 0.25), Drift("test", "ink", 0.01, 0.25)),
        repairs=("scale",),
        reference="mnist, 60,000 rows",
        label_counts={"train": [6000] * 10, "test": [1000] * 10},
        means=np.full((10, 784), 30, np.float32),
        reference_means=np.full((10, 784), 40, np.float32),
        label_agreement={"test": LabelAgreement(10_000, 0.82, None, 0.01, None)},
    )


@pytest.fixture(scope="session")
def run(validation) -> Run:
    matrix = np.diag([965, 1127, 996, 978, 961, 866, 951, 991, 937, 984])
    matrix[4, 9] = 244
    evaluation = Evaluation(
        n_rows=10_000,
        accuracy=0.9756,
        interval=(0.9724, 0.9784),
        confusion_matrix=matrix,
        classes=tuple(ClassMetrics(label, 0.97, 0.98, 0.975, 1000 + label) for label in range(10)),
        log_loss=0.0812,
        calibration_error=0.0123,
        mistakes=tuple(Mistake(row, 4, 9, 0.999) for row in range(24)),
        abstention=Abstention(0.83, 0.97, 0.9993, 0.995),
        right=np.ones(10_000, bool),
        slices=(
            SliceMetrics("digit", "4", 982, 0.96, (0.95, 0.97)),
            SliceMetrics("file", "few.csv", 3, 1.0, (0.44, 1.0)),
        ),
        robustness=CorruptedAnswers(("fog", "stripe"), np.arange(4), np.array([[True] * 4, [True, False] * 2])),
    )
    images = InMemoryImages(np.zeros((32, 784), np.uint8), np.arange(32, dtype=np.uint8) % 10)
    dataset = Dataset(
        name="mnist",
        train=images,
        test=images,
        train_digests=np.arange(3, dtype=np.uint64),
        test_digests=np.arange(3, dtype=np.uint64),
        fingerprint="f" * 64,
        profile=profiles.load_embedded(),
        validation=validation,
        n_folds=5,  # of the mistakes of other networks, there is no saliency
    )
    training_result = TrainingResult(
        network=None,
        recipe=PRESETS["fast"].recipes["mlp"],
        history=tuple(EpochRecord(epoch, 1 / epoch, 0.9, 0.5 / epoch, 0.95, 0.4) for epoch in range(1, 21)),
        fingerprint="a" * 64,
        digest="b" * 64,
        training_rows=57_000,
        validation_rows=3_000,
        held_out_probabilities=np.empty((0, 10), np.float32),
        held_out_labels=np.empty(0, np.uint8),
    )
    return Run(
        dataset=dataset,
        training_result=training_result,
        decision=Decision(
            promoted=True,
            reason="it fixes 30 mistakes of version 3 and makes 9 new ones",
            champion=3,
            rows=10_000,
            accuracy=0.9756,
            measurements={"accuracy": 0.9756, "calibration error": 0.0123, "a new metric": 0.42},
            comparison=Comparison(
                n_rows=9_950,
                n_repeated=40,
                n_trained_on=10,
                champion_accuracy=0.9735,
                fixed=30,
                made=9,
                difference=0.21,
                p_better=0.0005,
                p_worse=0.9998,
                gain=0.25,
                p_value=0.0002,
                p_threshold=0.03,
                refused_before=0,
                best=2,
                lower=0.08,
                margin=0.0,
                new_rows=0,
                slices=(SliceTest("digit", "4", 980, 12, 9, 0.81),),
                corruptions=(CorruptionComparison("fog", 0.9, 0.8), CorruptionComparison("stripe", 0.5, 0.2)),
                fixed_rows=(24,),
                broken_rows=(29, 30),
            ),
        ),
        recipe_name="fast",
        evaluation=evaluation,
        seconds={"start-up": 6.0, "load": 0.5, "train": 8.0, "orchestration": 1.5},
        resources=Resources(36.0, 900.4),
        environment={
            "python": "3.11.7",
            "libraries": {"tensorflow": "2.21.0", "keras": "3.15.1"},
            "system": "Linux x86_64",
            "processor": "a processor",
            "cores": 2,
            "workers": 1,
            "revision": "0123456789ab",
        },
    )


@pytest.fixture(scope="session")
def prediction() -> Prediction:
    """Return the totals of 1,003 images, three of which failed a row check."""
    example = Example(
        "scan.png", np.zeros((28, 28), np.uint8), 7, 0.53, 1, abstained=True, reason="between 7 and 1: 53 % and 41 %"
    )
    return Prediction(
        source="scans/",
        version=3,
        threshold=0.8,
        output="out.csv",
        seconds=0.5,
        n_rows=1003,
        labels=np.full(10, 100),
        abstained=np.arange(10),
        confidences=np.full(20, 50),
        unlike_training=20,
        invalid={"pixel missing": 2, "blank": 1},
        drifts=(Drift("input", "ink", 0.3, 0.25), Drift("input", "labels", 0.01, 0.1)),
        findings=(CheckResult("checks", "warning", "no prediction for 3 of 1,003 images"),),
        reference="mnist of version 3, 60,000 rows",
        class_means=np.zeros((10, 784), np.float32),
        reference_means=np.zeros((10, 784), np.float32),
        least_confident=(example,),
        least_similar=(example,),
        score=ScoredPredictions(1000, 0.9, (0.88, 0.92), np.eye(10, dtype=int) * 90, Abstention(0.8, 0.95, 0.99)),
    )
