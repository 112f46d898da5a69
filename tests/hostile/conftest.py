"""Makes the scripts under ``benchmarks`` importable, as they see themselves when they are run."""

from __future__ import annotations

import sys
from pathlib import Path

_SCRIPTS = str(Path(__file__).resolve().parents[2] / "benchmarks")
if _SCRIPTS not in sys.path:
    sys.path.insert(0, _SCRIPTS)
