"""The parts of a source, by the names that people give them."""

import pytest
import source_files

from schemas.errors import InputError
from schemas.pixel_frame import PIXEL_COLUMNS
from schemas.rules import DEFAULT_RULES
from schemas.shards import ShardManifest
from tasks.sources import datasets
from tasks.sources.parts import part_of

NAMES = {
    "train": [
        "train",
        "Training",
        "trainingSet",
        "mnist_train.csv",
        "x_train",
        "Xtrain",
        "train-00000-of-00001.parquet",
    ],
    "test": ["test", "testing", "t10k-images", "mnist-test.csv", "testY", "test_labels"],
    "validation": ["val", "valid", "validation-00000-of-00001.parquet", "x_val", "val_images"],
    None: ["latest.csv", "contest", "restrain", "values", "digits.csv", "train_test.csv", "evaluation"],
}


@pytest.mark.parametrize(("part", "name"), [(part, name) for part, names in NAMES.items() for name in names])
def test_a_name_tells_its_part(part, name):
    assert part_of(name) == part


def listed(folder):
    loaded = datasets.load(str(folder), None, DEFAULT_RULES)
    assert all(isinstance(part, ShardManifest) for part in loaded.parts.values())
    return {part: [shard.item for shard in found.shards] for part, found in loaded.parts.items()}, loaded.notes


@pytest.mark.parametrize(
    ("names", "train", "test"),
    [
        (["a.csv", "b.csv"], ["a.csv", "b.csv"], None),
        (["mnist_train.csv", "mnist_test.csv"], ["mnist_train.csv"], ["mnist_test.csv"]),
        (["train-0.csv", "train-1.csv", "val-0.csv"], ["train-0.csv", "train-1.csv"], ["val-0.csv"]),
        (["train/0.csv", "test/0.csv"], ["train/0.csv"], ["test/0.csv"]),
        (["digits/train.csv", "digits/test.csv", "README.md"], ["train.csv"], ["test.csv"]),
        (["test_1.csv", "test_2.csv"], ["test_1.csv", "test_2.csv"], None),
        (["more.csv", "train.csv", "test.csv"], ["more.csv", "train.csv"], ["test.csv"]),
        (["train/sub/a.csv", "test/a.csv"], ["train/sub/a.csv"], ["test/a.csv"]),
        (["train1/a.csv", "train2/a.csv", "test/a.csv"], ["train1/a.csv", "train2/a.csv"], ["test/a.csv"]),
    ],
)
def test_shards_are_parts_by_their_names(names, train, test, digits, tmp_path):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        digits.iloc[:3].to_csv(tmp_path / name, index=False)
    assert listed(tmp_path)[0] == {"train": train} | ({"test": test} if test else {})


def test_a_train_folder_without_shards_is_refused(digits, tmp_path):
    for name in ("train/one/a.csv", "train/two/a.csv", "test/a.csv"):
        (tmp_path / name).parent.mkdir(parents=True)
        digits.iloc[:3].to_csv(tmp_path / name, index=False)
    with pytest.raises(InputError, match="train: no shards in the train part"):
        datasets.check(str(tmp_path))


def test_two_picture_folders_of_one_part_are_refused(digits, tmp_path):
    for name in ("train1", "train2", "test"):
        source_files.pictures(digits.iloc[:20], tmp_path / "made").rename(tmp_path / name)
    (tmp_path / "made").rmdir()
    with pytest.raises(InputError, match="train1 and train2 are both the train part; merge them"):
        listed(tmp_path)


def test_folders_that_are_not_read_are_reported(digits, tmp_path):
    for folder in (tmp_path / "pictures", tmp_path / "shards"):
        (folder / "train").mkdir(parents=True)
        (folder / "more").mkdir()
        (folder / "README.md").write_text("Digits")
    digits.to_csv(tmp_path / "shards" / "train" / "a.csv", index=False)
    (tmp_path / "shards" / "train" / "extra").mkdir()
    source_files.pictures(digits.iloc[:20], tmp_path / "made").rename(tmp_path / "pictures" / "train" / "digits")
    assert listed(tmp_path / "shards")[1] == ("2 others left out (no shards): more, train/extra",)
    pictures = datasets.load(str(tmp_path / "pictures"), None, DEFAULT_RULES)
    assert pictures.notes == ("1 other left out (of no part): more",)


def test_a_validation_part_that_is_not_read_is_reported(digits, tmp_path):
    for name in ("train", "test", "valid"):
        digits.iloc[:3].to_csv(tmp_path / f"{name}.csv", index=False)
    parts, (note,) = listed(tmp_path)
    assert parts == {"train": ["train.csv"], "test": ["test.csv"]}
    assert note.startswith("the validation part (1 shard ")


def test_files_without_labels_of_a_competition_are_left_out(digits, tmp_path):
    digits.to_csv(tmp_path / "train.csv", index=False)
    digits[list(PIXEL_COLUMNS)].to_csv(tmp_path / "test.csv", index=False)
    (tmp_path / "sample_submission.csv").write_text("ImageId,Label\n1,0\n")
    parts, notes = listed(tmp_path)
    assert parts == {"train": ["train.csv"]}
    assert notes == ("2 files left out (no labels): sample_submission.csv, test.csv",)


def test_a_damaged_test_part_is_not_left_out(digits, tmp_path):
    digits.to_csv(tmp_path / "train.csv", index=False)
    source_files.csv(digits.iloc[:, :700], tmp_path).rename(tmp_path / "test.csv")
    assert listed(tmp_path)[0]["test"] == ["test.csv"]
