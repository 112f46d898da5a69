"""How long one text takes from the command line, in two checkouts by turns.

    python benchmarks/predict_start.py MODEL BEFORE AFTER [--turns 10]

MODEL is an artifact folder, BEFORE and AFTER are checkouts of this repository; each turn starts
``bertcompress predict MODEL "a text"`` once in each of them, in the same Python, the first one
changing from turn to turn. Printed are the medians of the whole process and their ratio.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

COMMAND = "from bertcompress_cli.main import main; main()"
TEXT = "a good film"


def main() -> None:
    """Runs the turns and prints the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--turns", type=int, default=10)
    given = parser.parse_args()
    checkouts: tuple[Path, Path] = (given.before, given.after)
    seconds: dict[Path, list[float]] = {checkout: [] for checkout in checkouts}
    answers = [answered(checkout, given.model)[1] for checkout in checkouts]  # fills the caches
    if answers[0] != answers[1]:
        sys.exit(f"the checkouts answer differently: {answers[0]} and {answers[1]}")
    for turn in range(given.turns):
        for checkout in checkouts if turn % 2 == 0 else checkouts[::-1]:
            seconds[checkout].append(answered(checkout, given.model)[0])
    before, after = (median(seconds[checkout]) for checkout in checkouts)
    print(f"{before:.2f} s before, {after:.2f} s after: {before / after:.2f} times as fast")


def answered(checkout: Path, model: Path) -> tuple[float, str]:
    """Returns how long a process took to answer one text, and what it printed."""
    folders = (checkout, checkout / "cli", checkout / "calibration")
    path = os.pathsep.join(str(folder.resolve()) for folder in folders)
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-P", "-c", COMMAND, "predict", str(model), TEXT],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return time.perf_counter() - started, done.stdout


if __name__ == "__main__":
    main()
