"""TensorRT's own account of its build, told to our progress callback, and how a build is stopped.

TensorRT's phases lie inside each other; what people are told is the outermost one.
"""

from __future__ import annotations

import threading
from types import ModuleType
from typing import Any

from bertcompress.progress import Progress


class BuildProgress:
    """What is known of a build while it runs; TensorRT's threads report to it.

    Args:
        progress: Is told the outermost phase, its steps done and their number.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._stop = threading.Event()
        self._steps: dict[str, int] = {}

    @property
    def stopped(self) -> bool:
        """Whether the build was asked to stop."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Asks the build to stop at its next step."""
        self._stop.set()

    def begin(self, phase: str, parent: str | None, steps: int) -> None:
        """Notes that a phase begins."""
        if parent is None:
            self._steps[phase] = steps
            self._tell(phase, 0)

    def advance(self, phase: str, step: int) -> bool:
        """Notes a finished step, counted from 0; returns whether the build shall go on."""
        if phase in self._steps:
            self._tell(phase, step + 1)
        return not self.stopped

    def finish(self, phase: str) -> None:
        """Notes that a phase is finished."""
        if phase in self._steps:
            self._tell(phase, self._steps.pop(phase))

    def _tell(self, phase: str, done: int) -> None:
        total = self._steps.get(phase, done)
        self._progress(f"build engine, {phase}", min(done, total), total)


def make_monitor(trt: ModuleType, progress: BuildProgress) -> Any:
    """Returns the monitor that TensorRT calls; an interrupt that strikes in it stops the build."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc,name-defined]  # the library has no types
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            progress.begin(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return progress.advance(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            progress.finish(phase_name)

    return Monitor()
