"""The modules of the folder deployment, which are scripts and no package."""

import sys

from samples import ROOT

sys.path.append(str(ROOT / "deployment"))
