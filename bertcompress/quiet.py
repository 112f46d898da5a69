"""Keeps libraries from talking: no bars and no tables on their behalf, and no calls home."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

_SENDER = "openvino_telemetry"
_SWITCHES = {
    "ORT_DISABLE_TELEMETRY": "1",  # else ONNX Runtime 1.31 also writes to the cache and TMPDIR
    "NNCF_CI": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",  # of the hub, Transformers, Datasets, Optimum
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",  # https://donottrack.sh: what whatever comes may ask
}
"""What libraries ask whether they may call home, and the answer."""


def refuse_telemetry() -> None:
    """Tells every library, and every child process, not to call home.

    Libraries ask when they are imported or first used, so it is said before any of them can be. A
    variable that the user has set stays as it is.
    """
    for name, value in _SWITCHES.items():
        os.environ.setdefault(name, value)


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silences its warnings and progress bars while open; errors are raised, not logged."""
    import transformers

    logging: Any = transformers.utils.logging  # has no types
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def without_telemetry() -> Iterator[None]:
    """Hides, while OpenVINO or NNCF is imported in it, the library that they call home with.

    Importing either writes a client number and a counter into the home folder, even where the
    switches against sending are set; without ``openvino_telemetry`` both go on and send nothing.
    """
    modules = cast("dict[str, object]", sys.modules)
    before = {name: one for name, one in modules.items() if name.split(".")[0] == _SENDER}
    modules[_SENDER] = None  # which makes importing it an ImportError
    try:
        yield
    finally:
        del modules[_SENDER]
        modules.update(before)
