# ruff: noqa: E501, tables are read across
"""CSV files as people have them: read rightly, with a note on what was guessed, or refused with the flag that helps."""

import io

import numpy as np
import pytest

from schemas.errors import InputError
from schemas.pixel_frame import PIXEL_COLUMNS, pixels_of
from schemas.rules import DEFAULT_RULES, Rules
from tasks.sources import csv_table, datasets, inputs
from tasks.sources.labels import WORDS


@pytest.fixture
def rows(digits):
    return digits.iloc[:120]


def load(path):
    datasets.check_headers(str(path), rules=DEFAULT_RULES)
    return datasets.load(str(path), None, DEFAULT_RULES)


def text(frame, **options):
    return frame.to_csv(index=False, **options).encode()


def numbered(frame, first, *, label_first=True):
    """Name all columns by numbers, the label's included."""
    ordered = frame if label_first else frame[[*PIXEL_COLUMNS, "label"]]
    return ordered.set_axis([str(number + first) for number in range(785)], axis=1)


def label_last(frame):
    return frame[[*PIXEL_COLUMNS, "label"]]


def renamed(frame, name="label", pixel="pixel{}", first=0):
    return frame.set_axis([name, *(pixel.format(number + first) for number in range(784))], axis=1)


def saved(frame, **options):
    file = io.BytesIO()
    np.savetxt(file, frame.to_numpy(), **options)
    return file.getvalue()


READ = {
    "pandas' index": (lambda f: f.to_csv().encode(), "label: column 2; header: yes; columns left out: column 1"),
    "pandas' index read again": (lambda f: text(f.rename_axis("Unnamed: 0").reset_index()), "columns left out: Unnamed: 0"),
    "an id": (lambda f: text(f.rename_axis("id").reset_index()), "columns left out: id"),
    "semicolons": (lambda f: text(f, sep=";"), "label: column 1; header: yes; separator: semicolon"),
    "tabs": (lambda f: text(f, sep="\t"), "separator: tab"),
    "spaces": (lambda f: text(f, sep=" ", header=False), "label: column 1; header: no; separator: space"),
    "aligned numbers": (lambda f: saved(f, fmt="%3d"), "separator: space"),
    "decimal commas": (lambda f: text(f.astype(float), sep=";", decimal=","), "separator: semicolon"),
    "UTF-16": (lambda f: text(f).decode().encode("utf-16"), "text: UTF-16"),
    "line ends of an old Mac": (lambda f: text(f, lineterminator="\r"), "label: column 1; header: yes"),
    "Excel's separator": (lambda f: b"sep=;\r\n" + text(f, sep=";"), "separator: semicolon; lines left out: 1"),
    "comments": (lambda f: b"# digits\n#\n" + text(f) + b"# the end\n", "1 line of lines 4 to 124 left out: comments"),
    "NumPy's header": (lambda f: saved(f, delimiter=",", fmt="%d", header=",".join(f.columns)), "label: column 1; header: yes"),
    "a byte order mark": (lambda f: b"\xef\xbb\xbf" + text(f), None),
    "a byte order mark without a header": (lambda f: b"\xef\xbb\xbf" + text(f, header=False), "label: column 1; header: no"),
    "numbers from 0": (lambda f: text(numbered(f, 0)), "label: column 1; header: yes"),
    "numbers from 1": (lambda f: text(numbered(f, 1)), "label: column 1; header: yes"),
    "numbers, the label last": (lambda f: text(numbered(f, 0, label_first=False)), "label: column 785; header: yes"),
    "numbers and pandas' index": (lambda f: numbered(f, 0).to_csv().encode(), "label: column 2; header: yes"),
    "no header, the label last": (lambda f: text(label_last(f), header=False), "label: column 785; header: no"),
    "no header, row numbers": (lambda f: f.to_csv(header=False).encode(), "label: column 2; header: no; columns left out: column 1"),
    "no header, the label last, by label": (lambda f: text(label_last(f.sort_values("label")), header=False), "label: column 785"),
    "no header, one class": (lambda f: text(f[f["label"] == 7], header=False), "label: column 1; header: no"),
    "a separator at the end": (lambda f: text(f).replace(b"\n", b",\n"), "columns left out: column 786"),
    "no header, a separator at the end": (lambda f: text(f, header=False).replace(b"\n", b",\n"), "columns left out: column 786"),
    "the label in the middle": (lambda f: text(f[[*PIXEL_COLUMNS[:9], "label", *PIXEL_COLUMNS[9:]]]), None),
    "sorted names": (lambda f: text(f[sorted(f.columns)]), None),
    "columns backwards": (lambda f: text(f[f.columns[::-1]]), None),
    "rows and columns from 0": (lambda f: text(f.set_axis(["y", *(f"r{i}c{j}" for i in range(28) for j in range(28))], axis=1)), None),
    "other names": (lambda f: text(renamed(f, "Target", "px_{}", 2)), None),
    "a header twice": (lambda f: text(f[:60]) + text(f[60:]), "1 line of lines 2 to 122 left out: comments, or the header again"),
    "labels as words": (lambda f: text(f.assign(label=f["label"].map(WORDS.__getitem__))), None),
    "labels in apostrophes": (lambda f: text(f.assign(label=f["label"].map("'{}'".format))), None),
    "names in quotes": (lambda f: text(f, quoting=1), None),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_usual_csv_file_is_read_with_a_note_on_its_layout(name, rows, tmp_path):
    write, note = READ[name]
    (tmp_path / "rows").write_bytes(write(rows))
    loaded = load(tmp_path / "rows")
    expected = {
        "no header, the label last, by label": rows.sort_values("label"),
        "no header, one class": rows[rows["label"] == 7],
    }.get(name, rows)
    assert (loaded.train.to_numpy() == expected.to_numpy()).all()
    assert note in "; ".join(loaded.notes) if note else not loaded.notes


UNLABELLED = {
    "an ImageId": lambda f: text(f.rename_axis("ImageId").reset_index().drop(columns="label")),
    "row numbers": lambda f: f[list(PIXEL_COLUMNS)].to_csv(header=False).encode(),
    "no header": lambda f: text(f[list(PIXEL_COLUMNS)], header=False),
    "numbers": lambda f: text(f[list(PIXEL_COLUMNS)].set_axis(map(str, range(784)), axis=1), sep=";"),
}


@pytest.mark.parametrize("name", UNLABELLED)
def test_csv_file_without_labels_can_only_be_predicted_on(name, rows, tmp_path):
    source = str(tmp_path / "rows")
    (tmp_path / "rows").write_bytes(UNLABELLED[name](rows))
    (frame,) = inputs.batches(source, DEFAULT_RULES, 1000)
    assert (frame.to_numpy() == pixels_of(rows)).all()
    with pytest.raises(InputError, match="no column of labels"):
        datasets.check_headers(source, rules=DEFAULT_RULES)


def both_ends_are_digits(frame):
    changed = frame.copy()
    changed["pixel783"] = np.arange(len(frame)) % 7
    return text(changed, header=False)


REFUSED = {
    "two columns of digits": (both_ends_are_digits, "column 1 or 785 may be the label; tell it by --label-column 1 or 785"),
    "zeros alone": (lambda f: text(f[f["label"] == 0], header=False), "column 1 or 785 may be the label"),
    "an unknown label": (lambda f: text(renamed(f, "number")), "expected label, pixel0 … pixel783, or --label-column"),
    "one-hot labels": (lambda f: text(f.join(f[["label"] * 9].set_axis(map(str, range(9)), axis=1))), "785|794 columns"),
    "another word": (lambda f: text(f.assign(label=["one", *["dog"] * (len(f) - 1)])), "line 3, column label: expected a number, got 'dog'"),
    "two labels": (lambda f: text(f.assign(y=1)), "expected label, pixel0 … pixel783"),
    "a column without a name": (lambda f: text(f.assign(**{"": 300})[["label", "", *PIXEL_COLUMNS]].iloc[:, 1:]), "no column of labels"),
    "UTF-16 cut within a character": (lambda f: text(f).decode().encode("utf-16")[:-1], "not UTF-16 text"),
    "a comma as the decimal and a point": (lambda f: text(f, sep=";").replace(b";0", b";0,5", 1).replace(b";0", b";0.5", 1), "expected a number"),
    "another header": (lambda f: text(f[:60]) + text(renamed(f)[60:].rename(columns={"label": "class"})), "line 62, column label: expected a number, got 'class'"),
    "8 × 8 pixels": (lambda f: text(f.iloc[:, :65], header=False), "images of 8 × 8 pixels; 28 × 28 are needed: --repair resize"),
    "32 × 32 pixels by name": (lambda f: b",".join([b"label", *(b"p%d" % n for n in range(1024))]) + b"\n1" + b",0" * 1024, "images of 32 × 32 pixels"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_doubtful_csv_file_is_refused_with_advice(name, rows, tmp_path):
    write, expected = REFUSED[name]
    (tmp_path / "rows.csv").write_bytes(write(rows))
    with pytest.raises(InputError, match=expected):
        load(tmp_path / "rows.csv")


@pytest.mark.parametrize(
    ("write", "flags"),
    [
        (both_ends_are_digits, {"label_column": "1"}),
        (lambda f: text(renamed(f, "number")), {"label_column": "number"}),
        (lambda f: text(label_last(numbered(f, 0).set_axis(f.columns, axis=1)), header=False), {"label_column": "785"}),
        (lambda f: b",".join([b"7"] * 785) + b"\n" + text(f, header=False), {"label_column": "1", "header": "yes"}),
    ],
)
def test_flags_decide_what_a_csv_file_leaves_open(write, flags, rows, tmp_path):
    (tmp_path / "rows.csv").write_bytes(write(rows))
    frame = csv_table.read(tmp_path / "rows.csv", Rules(**flags)).train
    assert (frame["label"] == rows["label"]).all()
    assert (frame["pixel400"] == rows["pixel400"]).all()


def test_label_column_that_is_not_there_is_refused(rows, tmp_path):
    (tmp_path / "rows.csv").write_bytes(text(rows))
    for name in ("number", "0", "786"):
        with pytest.raises(InputError, match=f"--label-column {name}: no such column of 785"):
            csv_table.read(tmp_path / "rows.csv", Rules(label_column=name))
