"""The parent's side of a measuring process: starts it, asks it, and always ends it.

`WorkerProcess` is a context manager. The child is a session of its own, so that Ctrl-C reaches
only the parent, which then ends the child; a child that does not end when asked is killed, and
waited for, so none is left behind. A child that fails answers with its sentence, one that dies is
reported with the last lines it wrote to stderr; both become a `RunError` that names the variant.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from bertcompress.bench.worker.messages import (
    Command,
    Failure,
    LoadArtifact,
    LoadedArtifact,
    WriteOutputs,
    command_line,
    read_answer,
)
from bertcompress.bench.workload import Feed, Workload, save_workload
from bertcompress.errors import RunError

TIMEOUT_S = 600.0
QUIT_S = 5.0
_LAST_LINES = 12

A = TypeVar("A")


def thread_variables(threads: int) -> dict[str, str]:
    """Returns the environment variables that hold every library to `threads` threads."""
    names = (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    )
    return {**{name: str(threads) for name in names}, "TOKENIZERS_PARALLELISM": "false"}


class WorkerProcess:
    """A child process that holds one artifact.

    Args:
        name: The variant's name, for errors.
        scratch: A folder for the arrays that go to and fro; the caller's to remove.
        threads: What every library in the child may use.
        timeout_s: How long one command may take.
    """

    def __init__(
        self, name: str, *, scratch: Path, threads: int, timeout_s: float = TIMEOUT_S
    ) -> None:
        self.name = name
        self._scratch = scratch
        self._threads = threads
        self._timeout_s = timeout_s
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._child: subprocess.Popen[str] | None = None
        self._stderr: IO[bytes] | None = None
        self._files = 0
        self._inputs: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        self._stderr = tempfile.TemporaryFile()
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "bertcompress.bench.worker.main"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            encoding="utf-8",
            env=child_environment(self._threads),
            start_new_session=True,
        )
        assert self._child.stdout is not None
        reader = threading.Thread(
            target=_read_lines, args=(self._child.stdout, self._answers), daemon=True
        )
        reader.start()
        return self

    def __exit__(self, kind: object, *raised: object) -> None:
        child = self._child
        if child is None:
            return
        if kind is not None:
            child.kill()
        self._close_input(child)
        try:
            child.wait(timeout=QUIT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdout is not None:
            child.stdout.close()
        if self._stderr is not None:
            self._stderr.close()
        self._child = None

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._running().pid

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the model's inputs; known once loaded."""
        return self._inputs

    def load(self, folder: Path, runtime: str) -> LoadedArtifact:
        """Opens the artifact in the child."""
        loaded = self.ask(LoadArtifact(folder.resolve(), runtime, self._threads))
        self._inputs = loaded.inputs
        return loaded

    def ask(self, command: Command[A]) -> A:
        """Sends one command and waits for its answer.

        Raises:
            RunError: If the command failed, the child died, or it took too long.
        """
        child = self._running()
        assert child.stdin is not None
        try:
            child.stdin.write(command_line(command))
            child.stdin.flush()
        except OSError as error:
            raise RunError(self._death()) from error
        try:
            line = self._answers.get(timeout=self._timeout_s)
        except queue.Empty:
            child.kill()  # its answer would be taken for the next command's
            raise RunError(
                f"{self.name}: no answer to {command.name!r} within {self._timeout_s:g} s; "
                "measure fewer sentences, or shorter ones"
            ) from None
        if line is None:
            raise RunError(self._death())
        answer = read_answer(command, line)
        if isinstance(answer, Failure):
            raise RunError(f"{self.name}: {answer.error}")
        return answer

    def run(self, feed: Feed) -> dict[str, NDArray[np.generic]]:
        """Runs one batch in the child and returns its outputs."""
        self._files += 1
        sent = self._scratch / f"feed-{self.pid}-{self._files}.npz"
        got = self._scratch / f"outputs-{self.pid}-{self._files}.npz"
        rows, length = feed["input_ids"].shape
        save_workload(Workload("batch", "offline", int(rows), int(length), (feed,)), sent)
        try:
            self.ask(WriteOutputs(sent, got))
            with np.load(got, allow_pickle=False) as file:
                return {key.rpartition("/")[0]: file[key] for key in file.files}
        finally:
            sent.unlink(missing_ok=True)
            got.unlink(missing_ok=True)

    def _running(self) -> subprocess.Popen[str]:
        if self._child is None:
            raise RunError(f"{self.name}: its measuring process is not running")
        return self._child

    def _close_input(self, child: subprocess.Popen[str]) -> None:
        try:
            if child.stdin is not None:
                child.stdin.close()
        except BrokenPipeError:
            return  # it died before it read the last command; its exit is handled by the caller

    def _death(self) -> str:
        child = self._running()
        try:
            status = child.wait(timeout=QUIT_S)
        except subprocess.TimeoutExpired:
            status = None
        said = _last_lines(self._stderr)
        why = "was killed, perhaps for lack of memory" if status == -9 else f"ended with {status}"
        return f"{self.name}: its measuring process {why}" + (f"; it said: {said}" if said else "")


def child_environment(threads: int) -> dict[str, str]:
    """Returns the environment of a child that runs a module of this package with ``-P``."""
    # -P keeps the user's own json.py out of the child; so the package's place must be told.
    paths = [os.environ.get("PYTHONPATH", ""), str(Path(__file__).resolve().parents[3])]
    return {
        **os.environ,
        **thread_variables(threads),
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "PYTHONUNBUFFERED": "1",
        "BERTCOMPRESS_LAZY": "1",  # else importing bertcompress loads torch
    }


def _read_lines(stream: IO[str], answers: queue.Queue[str | None]) -> None:
    try:
        for line in stream:
            answers.put(line)
    except ValueError:
        pass  # the parent closed the stream
    answers.put(None)


def _last_lines(stream: IO[bytes] | None) -> str:
    if stream is None:
        return ""
    stream.seek(0)
    text = stream.read().decode("utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-_LAST_LINES:])
