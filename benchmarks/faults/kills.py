"""Kills at any moment: what is there is whole, and the same command then succeeds.

    python benchmarks/faults/kills.py --count 200 --out benchmarks/reports/kills

Each trial starts a verb on a tiny model, ends it by a signal, looks at what is there, and types the
same command again. Two trials of three are ended at a moment drawn from the verb's own length; the
third waits for a name to appear or go beside or in the output (a staging folder, a checkpoint, a
rename) and is ended within milliseconds of it. Right is: INT and TERM end with 130 and 143; the
output is not there, or is whole (its manifest holds); the same command succeeds, with
``--overwrite`` where the output was there; and nothing that begins with a dot is left beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gpu.models import TINY, make_checkpoint

COMMAND = [sys.executable, "-c", "from bertcompress_cli.main import main; main()"]
SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
LONGEST_S = 300.0
LABELS = ("LABEL_0", "LABEL_1")


@dataclass(frozen=True)
class Trial:
    """One kill.

    Attributes:
        at: Its number.
        verb: What was ended.
        number: The signal's name.
        aimed: Whether it waited for a change of names.
        after: Seconds after the start.
        ended: The exit code; None if the verb was done before.
        wrong: What is wrong, empty if nothing is.
    """

    at: int
    verb: str
    number: str
    aimed: bool
    after: float
    ended: int | None
    wrong: str = ""


def main() -> int:
    """Runs the trials and writes the report; fails if one went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at", type=int, help="only this trial")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bertcompress-kills-") as name:
        room = Path(name)
        verbs = make_verbs(room)
        lengths = {verb: seconds_of(room, words) for verb, words in verbs.items()}
        print(", ".join(f"{verb} {seconds:.1f} s" for verb, seconds in lengths.items()), flush=True)
        numbers = range(arguments.count) if arguments.at is None else [arguments.at]
        trials = []
        for at in numbers:
            draw = random.Random(f"{arguments.seed} {at}")
            verb = draw.choice(sorted(verbs))
            trials.append(tried(at, verb, verbs[verb], room, lengths[verb], draw))
            if trials[-1].wrong or arguments.at is not None:
                print(trials[-1], flush=True)
    text = report(trials, lengths)
    print(text)
    if arguments.out is not None:
        facts = [asdict(trial) for trial in trials]
        arguments.out.with_suffix(".json").write_text(json.dumps(facts) + "\n", encoding="utf-8")
        arguments.out.with_suffix(".md").write_text(text, encoding="utf-8")
    return 1 if any(trial.wrong for trial in trials) else 0


def make_verbs(room: Path) -> dict[str, list[str]]:
    """Makes a tiny model and data; returns the words of each verb, without its output."""
    make_checkpoint(TINY["tiny"], room / "model", pruned=False)
    rows = [f"a {LABELS[at % 2]} film {at},{LABELS[at % 2]}" for at in range(48)]
    data = room / "data.csv"
    data.write_text("\n".join(["text,label", *rows, ""]), encoding="utf-8")
    model = str(room / "model")
    training = ["finetune", model, "--data", str(data), "--epochs", "4"]
    training += ["--max-length", "64"]
    recovered = ["prune", model, "--data", str(data), "--heads", "0.5", "--recover", "2"]
    recovered += ["--max-length", "64"]
    return {
        "export": ["export", model],
        "prune": ["prune", model, "--data", str(data), "--heads", "0.5"],
        "prune --recover": recovered,
        "quantize": ["quantize", model, "--bits", "8", "--method", "dynamic"],
        "finetune": training,
    }


def seconds_of(room: Path, words: list[str]) -> float:
    """Returns how long a verb takes when nobody ends it."""
    started = time.perf_counter()
    done = run([*words, "-o", str(room / "timed")], room)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} does not run at all: {done.stderr[-500:]}")
    seconds = time.perf_counter() - started
    shutil.rmtree(room / "timed")
    return seconds


def run(words: list[str], room: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end."""
    return subprocess.run(
        [*COMMAND, *words],
        cwd=room,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )


def tried(
    at: int, verb: str, words: list[str], room: Path, length: float, draw: random.Random
) -> Trial:
    """Ends a verb by a signal and looks at what came of it."""
    place = room / f"trial-{at}"
    place.mkdir()
    out = place / "out"
    number, aimed = draw.choice(SIGNALS), draw.random() < 1 / 3
    command = [*words, "-o", str(out)]
    process = subprocess.Popen(
        [*COMMAND, *command],
        cwd=room,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_hears_signals,
    )
    started = time.perf_counter()
    if aimed:
        _wait_for_change(place, process, changes=draw.randint(1, 8))
        time.sleep(draw.uniform(0, 0.005))
    else:
        moment = draw.uniform(0.3, 1.05) * length
        while process.poll() is None and time.perf_counter() - started < moment:
            time.sleep(0.005)
    after = time.perf_counter() - started
    process.send_signal(number)
    _, said = process.communicate(timeout=LONGEST_S)
    code = process.returncode
    wrong = _ending(code, number, said) or _state(out, room)
    if not wrong:
        again = run([*command, *(["--overwrite"] if out.exists() else [])], room)
        wrong = "" if again.returncode == 0 else f"the next run failed: {again.stderr[-300:]}"
        left = sorted(path.name for path in place.iterdir() if path != out)
        wrong = wrong or _state(out, room) or (f"left behind: {left}" if left else "")
    if not wrong:
        shutil.rmtree(place)
    return Trial(at, verb, number.name, aimed, round(after, 2), code or None, wrong)


def _hears_signals() -> None:
    """Lets INT through, which shells have ignored for what they start in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _wait_for_change(
    place: Path, process: subprocess.Popen[str], *, changes: int, look: float = 0.001
) -> None:
    """Returns after so many changes of the names below a folder, or when the process has ended."""
    before: set[str] = set()
    while process.poll() is None and changes:
        names = {entry.path for folder in _folders(place) for entry in _entries(folder)}
        if names != before:
            changes -= 1
            before = names
        time.sleep(look)


def _folders(place: Path) -> list[Path]:
    below = [Path(entry.path) for entry in _entries(place) if entry.is_dir(follow_symlinks=False)]
    deeper = [Path(one.path) for folder in below for one in _entries(folder) if one.is_dir()]
    return [place, *below, *deeper]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []  # it has just gone


def _ending(code: int, number: signal.Signals, said: str) -> str:
    if "Traceback" in said or "unexpected" in said:
        return f"it said: {said[-400:]}"
    right = {signal.SIGKILL: -9, signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    early = {signal.SIGINT: -2, signal.SIGTERM: -15}.get(number)  # before Python listens
    return "" if code in (0, right, early) else f"exit code {code}: {said[-300:]}"


def _state(out: Path, room: Path) -> str:
    """Says what is wrong with an output that is there."""
    if not out.exists():
        return ""
    shown = run(["show", str(out)], room)
    return "" if shown.returncode == 0 else f"the output is damaged: {shown.stderr[-300:]}"


def report(trials: list[Trial], lengths: dict[str, float]) -> str:
    """Returns the report as Markdown."""
    verbs = Counter(trial.verb for trial in trials)
    numbers = Counter(trial.number for trial in trials)
    wrong = [trial for trial in trials if trial.wrong]
    lines = [
        f"{len(trials)} kills, {sum(trial.aimed for trial in trials)} of them within milliseconds "
        f"of a name that appeared or went: {len(trials) - len(wrong)} right, {len(wrong)} wrong. "
        "After each the same command was typed again. `python benchmarks/faults/kills.py`",
        "",
        "| verb | seconds | kills | of them wrong |",
        "|---|---:|---:|---:|",
        *(
            f"| {verb} | {lengths[verb]:.1f} | {count} | "
            f"{sum(trial.verb == verb for trial in wrong)} |"
            for verb, count in sorted(verbs.items())
        ),
        "",
        ", ".join(f"{count} × {name}" for name, count in sorted(numbers.items())) + ".",
        "",
        *(f"- trial {one.at}, {one.verb}, {one.number}: {one.wrong}" for one in wrong),
    ]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
