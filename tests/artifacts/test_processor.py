"""The precision in which a processor trains, by what Linux says about it."""

import pytest

from artifacts import processor

ZEN4 = "model name\t: AMD EPYC 9B14\nflags\t\t: fpu avx512f avx512_bf16\nbugs\t\t: sysret_ss_attrs\n"
AMX = "model name\t: Intel Xeon\nflags\t\t: fpu amx_bf16 amx_tile\n"
ZEN3 = "model name\t: AMD EPYC 7B13\nflags\t\t: fpu avx2\n\nprocessor\t: 1\nflags\t\t: fpu avx512_bf16\n"
NOT_LINUX = None


@pytest.mark.parametrize(
    ("info", "network", "onednn", "precision"),
    [
        (ZEN4, "cnn", "1", "bfloat16"),
        (AMX, "cnn", "1", "bfloat16"),
        (ZEN4, "mlp", "1", "float32"),
        (ZEN4, "cnn", "0", "float32"),
        (ZEN3, "cnn", "1", "float32"),
        (NOT_LINUX, "cnn", "1", "float32"),
    ],
)
def test_bfloat16_is_used_where_network_and_processor_gain_by_it(  # noqa: PLR0913, one for each column
    info, network, onednn, precision, tmp_path, monkeypatch
):
    if info is not NOT_LINUX:
        (tmp_path / "cpuinfo").write_text(info)
    monkeypatch.setattr(processor, "INFO", tmp_path / "cpuinfo")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", onednn)
    assert processor.training_precision(network) == precision


def test_the_processor_has_a_name(tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text(ZEN4)
    monkeypatch.setattr(processor, "INFO", tmp_path / "cpuinfo")
    assert processor.processor_name() == "AMD EPYC 9B14"
