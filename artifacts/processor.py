"""The processor of this machine: its name, and the precision in which it trains."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from schemas.networks import NETWORKS
from schemas.training import Precision

INFO = Path("/proc/cpuinfo")
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}


def processor_name() -> str:
    """Return the name of the processor, such as `AMD EPYC 7B13`."""
    return _field("model name") or platform.processor()


def training_precision(network: str) -> Precision:
    """Return the precision to train a network in: `bfloat16` where it gains from it, on a processor that has it.

    Other processors would be slower with it.
    """
    if not NETWORKS[network].trains_in_bfloat16:
        return "float32"
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0":  # TensorFlow's own kernels don't use these instructions
        return "float32"
    return "float32" if BFLOAT16_FLAGS.isdisjoint(_field("flags").split()) else "bfloat16"


def _field(name: str) -> str:
    """Return a field of the first processor that Linux describes; empty elsewhere."""
    match = re.search(rf"^{name}\s*:\s*(.*)$", INFO.read_text("utf-8") if INFO.exists() else "", re.MULTILINE)
    return match[1].strip() if match else ""
