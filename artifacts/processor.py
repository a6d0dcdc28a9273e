"""The processor of this machine: its name, and the precision in which it trains."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from schemas.training import Precision

INFO = Path("/proc/cpuinfo")
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}


def processor_name() -> str:
    """Return the name of the processor, such as `AMD EPYC 7B13`."""
    return _field("model name") or platform.processor()


def native_precision() -> Precision:
    """Return `bfloat16` if the processor multiplies such numbers natively; otherwise they would be slower."""
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0":  # TensorFlow's own kernels don't use these instructions
        return "float32"
    return "float32" if BFLOAT16_FLAGS.isdisjoint(_field("flags").split()) else "bfloat16"


def _field(name: str) -> str:
    """Return a field of the first processor that Linux describes; empty elsewhere."""
    found = re.search(rf"^{name}\s*:\s*(.*)$", INFO.read_text("utf-8") if INFO.exists() else "", re.MULTILINE)
    return found[1].strip() if found else ""
