"""Changed files for every reader: each has to be read, or refused in one sentence.

    python benchmarks/faults/fuzz.py --count 20000 --out benchmarks/reports/fuzz

Inputs are drawn from a seed, so that each can be made again: ``--only READER --at NUMBER`` runs one
and shows the traceback. They are read in child processes with a limit of memory and, for each
input, of time, through the border that the command ends at: what is printed is what a user sees.
A fault is an "unexpected" error, a traceback, a sentence of several lines, an exception that the
border does not catch (a Rust panic), a crash, and no end.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from faults.readers import READERS, Reader, make_seeds

SECONDS = 20.0
"""An input may take; most take milliseconds, writing a page of a report a fifth of a second."""

MEMORY = 2 << 30
"""Bytes that a child may take beyond what the libraries have taken when it starts."""

_LONGEST_SENTENCE = 3000
_FORKS = multiprocessing.get_context("fork")  # the libraries are imported once


@dataclass(frozen=True)
class Ending:
    """How one input ended.

    Attributes:
        reader: The reader's name.
        at: The input's number.
        how: ``read``, ``refused``, or what is wrong.
        told: The sentence.
        seconds: Time taken.
    """

    reader: str
    at: int
    how: str
    told: str = ""
    seconds: float = 0.0

    @property
    def is_fault(self) -> bool:
        """Whether it should not have ended so."""
        return self.how not in ("read", "refused")


def fuzz(count: int, *, seed: int, readers: Sequence[Reader] = READERS) -> list[Ending]:
    """Runs `count` inputs, the same number for each reader.

    Args:
        count: Of all readers together.
        seed: Of the drawing.
        readers: Some of `READERS`.
    """
    import_libraries()
    endings: list[Ending] = []
    with tempfile.TemporaryDirectory() as name:
        _in_a_child(make_seeds, Path(name))
        for number, reader in enumerate(readers):
            share = count // len(readers) + (number < count % len(readers))
            endings += _in_children(reader, range(share), seed, Path(name))
    return endings


def import_libraries() -> None:
    """Imports once what each child would import anew; no threads are started by that."""
    import onnx
    import transformers

    import bertcompress_cli.app
    from bertcompress.bert.register import register
    from bertcompress.recipes import step_settings

    register()
    del onnx, transformers, bertcompress_cli, step_settings


def _in_a_child(work: Callable[[Path], None], folder: Path) -> None:
    """Does what starts threads, which this process has to be free of when it forks."""
    child = _FORKS.Process(target=work, args=(folder,))
    child.start()
    child.join()
    if child.exitcode:
        raise SystemExit(f"{work.__name__} failed")


def _in_children(reader: Reader, inputs: range, seed: int, seeds: Path) -> Iterator[Ending]:
    """Yields how each input ended; after a crash the next child goes on behind it."""
    waiting = inputs
    while waiting:
        here, there = _FORKS.Pipe(duplex=False)
        child = _FORKS.Process(target=_child, args=(reader, waiting, seed, seeds, there))
        child.start()
        there.close()
        done = waiting.start
        while done < waiting.stop:
            try:
                if not here.poll(3 * SECONDS):
                    break
                ending: Ending = here.recv()
            except EOFError:
                child.join()
                break
            yield ending
            done += 1
        if done < waiting.stop:
            ended = child.exitcode if not child.is_alive() else None
            child.kill()
            child.join()
            yield Ending(reader.name, done, "no end" if ended is None else f"died of {ended}")
            done += 1
        child.join()
        waiting = range(done, waiting.stop)


def _child(reader: Reader, inputs: range, seed: int, seeds: Path, pipe: Connection) -> None:
    warm_up(reader, seeds)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what Rust and C++ print themselves
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))
    for at in inputs:
        pipe.send(run_one(reader, at, seed, seeds))


def warm_up(reader: Reader, seeds: Path) -> None:
    """Reads the sound file, which loads the libraries; it has to be read."""
    told = io.StringIO()
    with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
        from bertcompress_cli.app import run_told

        code = run_told(lambda: reader.read(seeds / reader.seed))
    if code and reader.seed != "adapter":
        raise SystemExit(f"{reader.name}: the sound file is refused: {told.getvalue()}")


def run_one(reader: Reader, at: int, seed: int, seeds: Path) -> Ending:
    """Runs one input in this process, and says how it ended."""
    from bertcompress_cli.app import run_told

    draw = random.Random(f"{seed} {reader.name} {at}")
    began, told = time.monotonic(), io.StringIO()
    with tempfile.TemporaryDirectory(dir=seeds) as name:
        folder = Path(name) / "folder"
        shutil.copytree(seeds / reader.seed, folder, copy_function=os.link)
        place = folder / reader.file
        content = place.read_bytes()
        place.unlink()  # it is a link to the sound one
        place.write_bytes(reader.mutate(content, draw))
        if reader.rehash:
            _rehash(folder)
        signal.signal(signal.SIGALRM, _too_long)
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
                code = run_told(lambda: reader.read(folder))
            how = _how(code, told.getvalue())
        except BaseException as error:
            *_, last = traceback.extract_tb(error.__traceback__)
            where = f"{Path(last.filename).name}:{last.lineno}"
            how = f"not caught: {type(error).__name__}: {str(error)[:200]} ({where})"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    sentence = told.getvalue().replace(str(folder), "FOLDER").strip()
    return Ending(reader.name, at, how, sentence[:300], time.monotonic() - began)


def _rehash(folder: Path) -> None:
    import hashlib

    path = folder / "bertcompress.json"
    manifest = json.loads(path.read_text())
    for name in manifest["files"]:
        if (folder / name).is_file():
            manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    path.unlink()
    path.write_text(json.dumps(manifest))


class _TooLongError(BaseException):
    """Ends an input; no reader catches it."""


def _too_long(*_: object) -> None:
    raise _TooLongError(f"took more than {SECONDS:.0f} s")


def _how(code: int, told: str) -> str:
    lines = told.strip().splitlines()
    if "Traceback" in told or "BERTCOMPRESS_DEBUG" in told:
        return "unexpected"
    if code == 0:
        return "read"
    if sum(line.startswith("error: ") for line in lines) != 1 or len(lines) > 1:
        return f"told in {len(lines)} lines"
    return "refused" if len(told) < _LONGEST_SENTENCE else f"told in {len(told)} characters"


def table_of(endings: Sequence[Ending]) -> str:
    """Returns a row for each reader, in Markdown."""
    rows = ["| reader | inputs | read | refused | faults | slowest |", "|---|---|---|---|---|---|"]
    names = dict.fromkeys(ending.reader for ending in endings)
    for name in names:
        own = [ending for ending in endings if ending.reader == name]
        how = Counter("fault" if ending.is_fault else ending.how for ending in own)
        slowest = max(ending.seconds for ending in own)
        rows.append(
            f"| {name} | {len(own):,} | {how['read']:,} | {how['refused']:,} | {how['fault']:,} | "
            f"{slowest:.1f} s |"
        )
    faults = sum(ending.is_fault for ending in endings)
    rows.append(f"| all | {len(endings):,} | | | {faults:,} | |")
    return "\n".join(rows) + "\n"


def main() -> None:
    """Runs the inputs; the exit code is 1 if there is a fault."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="a reader's name")
    parser.add_argument("--at", type=int, help="the number of one input, run in this process")
    parser.add_argument("--out", type=Path, help="writes OUT.md")
    asked: Any = parser.parse_args()
    readers = [reader for reader in READERS if asked.only in (None, reader.name)]
    if asked.at is not None:
        os.environ["BERTCOMPRESS_DEBUG"] = "1"
        with tempfile.TemporaryDirectory() as name:
            make_seeds(Path(name))
            print(json.dumps(asdict(run_one(readers[0], asked.at, asked.seed, Path(name)))))
        return
    began = time.monotonic()
    endings = fuzz(asked.count, seed=asked.seed, readers=readers)
    for ending in endings:
        if ending.is_fault:
            print(json.dumps(asdict(ending)))
    table = table_of(endings)
    print(table, f"{time.monotonic() - began:.0f} s")
    if asked.out is not None:
        opening = (
            f"# Changed files for every reader\n\n{len(endings):,} inputs, seed {asked.seed}, "
            f"{MEMORY >> 30} GiB and {SECONDS:.0f} s for each; made by:\n\n"
            f"    python benchmarks/faults/fuzz.py --count {asked.count} --seed {asked.seed}\n\n"
        )
        asked.out.with_suffix(".md").write_text(opening + table, encoding="utf-8")
    sys.exit(any(ending.is_fault for ending in endings))


if __name__ == "__main__":
    main()
