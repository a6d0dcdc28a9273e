"""The archive of predictions: each run's own copy, and the newest under a stable name."""

from artifacts import predictions


def test_every_runs_output_is_kept_beside_the_newest(tmp_path):
    output, archive = tmp_path / "digits.csv", tmp_path / "archive" / "digits"
    for run in ("1a2b3c4d", "5e6f7a8b"):
        output.write_text(run)
        copy = predictions.keep_copy(output, archive, run)
        assert copy.match(f"digits-20*-{run}.csv")
    assert output.read_text() == "5e6f7a8b"
    assert sorted(copy.read_text() for copy in archive.iterdir()) == ["1a2b3c4d", "5e6f7a8b"]
