r"""What the server bears: rates, times, deaths and memory, with load from another process.

    SERVE_PEERS=PYTHON python benchmarks/serve.py CHECKPOINT DATA FP32 INT8 PRUNED \\
      --out benchmarks/reports/serve

FP32, INT8 and PRUNED are graphs of the checkpoint, tuned on this machine (``bertcompress tune``).
Rates are shares of what the same artifact reaches without a server, in turns of a second: one turn
ahead of the other is the server's, every second turn first. Times are of requests that come at
random, whether or not the server is ready. SERVE_PEERS is an interpreter that has this library's
dependencies and fastapi, litserve and mosec (benchmarks/serving_peers); without it peers are left
out. ``--parts`` runs some parts and takes the others from OUT.json.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil

from bertcompress.bench.interleaved import in_turns, median_seconds, sentence_rate, typical
from bertcompress.bench.variant import Subject
from bertcompress.bench.worker.client import WorkerProcess
from bertcompress.bench.worker.messages import ArrangeStreams
from bertcompress.bench.workload import all_at_once, save_workload, single_stream
from bertcompress.errors import RunError
from bertcompress.inference.predictor import Predictor
from bertcompress.machine.environment import available_threads
from bertcompress.recipes.bench_serve_recipe import bodies_of
from bertcompress.serve.client import Client
from bertcompress.serve.keys import add_key
from bertcompress.serve.load.plan import LoadPlan, LoadResult
from bertcompress.serve.load.run import live_server, result_of, run_load, start_load
from bertcompress.serve.settings import MIB, ModelSettings, ServeSettings
from scripts import machine, publish, tested_on
from serve_report import CLIENTS, Facts, table

TURN_S, SENTENCES = 1.5, 24
NO_CACHE = ServeSettings(port=0, cache_bytes=0)
PEERS = Path(__file__).parent / "serving_peers"


class Bench:
    """The artifacts and texts of one run."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.checkpoint: Path = arguments.checkpoint
        self.folders: dict[str, Path] = {
            "FP32": arguments.fp32,
            "INT8": arguments.int8,
            "pruned INT8": arguments.pruned,
        }
        self.subject: Subject = tested_on(Predictor.open(arguments.fp32), arguments.data)
        self.bodies = bodies_of(self.subject.dataset.examples, 1)
        self.texts: list[str] = [json.loads(body)["inputs"][0] for body in self.bodies]
        self.minutes: float = arguments.minutes
        self.overload_s: float = arguments.overload
        self.turns: int = arguments.turns
        self.threads = available_threads()

    def plan(self, port: int, **changes: Any) -> LoadPlan:
        """Returns the usual load: as many clients as the issue names, one sentence each."""
        plan = LoadPlan("127.0.0.1", port, "/predict", self.bodies, connections=CLIENTS)
        return replace(plan, **changes)

    def served(self, name: str, settings: ServeSettings = NO_CACHE) -> Any:
        """Serves one of the artifacts."""
        return live_server({"m": ModelSettings(self.folders[name])}, settings)


def main() -> int:
    """Runs the parts and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("checkpoint", "data", "fp32", "int8", "pruned"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--minutes", type=float, default=30.0, help="of the part memory")
    parser.add_argument("--overload", type=float, default=60.0, help="seconds of three times")
    parser.add_argument("--turns", type=int, default=12, help="of whatever is compared")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    bench = Bench(arguments)
    kept = arguments.out and arguments.out.with_suffix(".json")
    facts: Facts = json.loads(kept.read_text()) if kept and kept.exists() else {}
    for name in arguments.parts.split(","):
        print(f"== {name}", flush=True)
        facts[name] = PARTS[name](bench)
        facts.update(machine(bench.threads, "onnxruntime", "uvicorn", "uvloop", "tokenizers"))
        if kept:
            kept.write_text(json.dumps(facts))
    publish(facts, table(facts), arguments.out)
    return 0


def rates(bench: Bench) -> Facts:
    """Saturated over HTTP and without a server, in turns; a lone text in both ways, in turns."""
    found: Facts = {}
    for name, folder in bench.folders.items():
        best = Predictor.open(folder).best
        assert best is not None, f"{folder} is not tuned; type: bertcompress tune {folder} …"
        with (
            TemporaryDirectory() as scratch,
            WorkerProcess(name, scratch=Path(scratch), threads=bench.threads) as worker,
            bench.served(name) as (port, _),
        ):
            runtime = Predictor.open(folder).runtime
            worker.load(folder, runtime)
            many, single = Path(scratch) / "many.npz", Path(scratch) / "single.npz"
            padding = bench.subject.pad_token_id
            workload = all_at_once(
                bench.subject.features,
                batch_size=best.batch_size,
                sort_by_length=best.sort_by_length,
                pad_token_id=padding,
            )
            save_workload(workload, many)
            some = typical(bench.subject.features, SENTENCES)
            save_workload(single_stream(some, pad_token_id=padding, name="single"), single)
            plan = bench.plan(port, seconds=TURN_S)
            run_load(replace(plan, seconds=3.0))
            worker.ask(ArrangeStreams(best.streams, best.threads))
            together = in_turns(
                {
                    "offline": sentence_rate(worker, many, slice_s=TURN_S),
                    "served": lambda plan=plan: run_load(plan).rate,
                },
                bench.turns,
            )
            worker.ask(ArrangeStreams(1, best.latency_threads))
            alone = replace(plan, connections=1, seconds=0.7, bodies=_bodies(some, bench))
            lone = in_turns(
                {
                    "runtime": median_seconds(worker, single, settle=2, count=SENTENCES),
                    "served": lambda plan=alone: median(run_load(plan).latencies_s),
                },
                2 * bench.turns,
            )
        found[name] = {"together": together, "lone": lone}
    return found


def _bodies(some: Sequence[Any], bench: Bench) -> tuple[str, ...]:
    numbers = [feature.example_index for feature in some]
    return tuple(bench.bodies[number] for number in numbers)


def quantiles_at_load(bench: Bench) -> Facts:
    """Times at 70 % of the rate that was just reached, Poisson."""
    found: Facts = {}
    for name in bench.folders:
        with bench.served(name) as (port, _):
            plan = bench.plan(port, seconds=5.0)
            run_load(replace(plan, seconds=2.0))
            rate = run_load(plan).rate
            under = run_load(replace(plan, rate=0.7 * rate, seconds=20.0))
        found[name] = {"saturated": rate, "offered": 0.7 * rate, **_times(under)}
    return found


def _times(found: LoadResult) -> Facts:
    cuts = np.quantile(found.latencies_s, [0.5, 0.9, 0.99]) if found.latencies_s else [0, 0, 0]
    return {
        "p50": float(cuts[0]),
        "p90": float(cuts[1]),
        "p99": float(cuts[2]),
        "statuses": found.statuses,
        "wrong": found.wrong,
        "rate": found.rate,
        "loader_cpu": found.loader_cpu_s / found.seconds,
        "late": found.late_s,
    }


def peers(bench: Bench) -> Facts:
    """Others, saturated by as many clients, in turns with ours."""
    python = os.environ.get("SERVE_PEERS")
    if python is None:
        return {}
    found: Facts = {}
    checkpoint, int8 = str(bench.checkpoint), {"ARTIFACT": str(bench.folders["INT8"])}
    usual = ["fastapi_transformers.py", checkpoint, "PORT"]
    others: dict[str, tuple[list[str], str, dict[str, str]]] = {
        "FastAPI + Transformers, 2 threads": ([*usual, "2"], "/predict", {}),
        "FastAPI + Transformers, 1 thread": ([*usual, "1"], "/predict", {}),
        "LitServe, INT8": (["litserve_server.py", "PORT"], "/predict", int8),
        "mosec, INT8": (["mosec_server.py", "--port", "PORT"], "/inference", int8),
    }
    plain = tuple(json.dumps({"inputs": text}) for text in bench.texts)
    for name, (words, path, variables) in others.items():
        with (
            _peer(python, words, variables) as other,
            bench.served("INT8") as (ours, _),
            bench.served("pruned INT8") as (pruned, _),
        ):
            plans = {
                name: bench.plan(other, path=path, bodies=plain, seconds=TURN_S),
                "INT8": bench.plan(ours, seconds=TURN_S),
                "pruned INT8": bench.plan(pruned, seconds=TURN_S),
            }
            for plan in plans.values():
                run_load(replace(plan, seconds=3.0))
            measures = {one: (lambda plan=plan: run_load(plan).rate) for one, plan in plans.items()}
            found[name] = in_turns(measures, bench.turns)
    return found


@contextmanager
def _peer(python: str, words: Sequence[str], variables: Mapping[str, str]) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    words = [str(port) if word == "PORT" else word for word in words]
    process = subprocess.Popen(
        [python, *words],
        cwd=PEERS,
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_for(port, process)
        yield port
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    body = ('{"inputs": "a"}',)
    while time.monotonic() < deadline and process.poll() is None:
        for path in ("/predict", "/inference"):
            with contextlib.suppress(RunError):
                plan = LoadPlan("127.0.0.1", port, path, body, connections=1, seconds=0.2)
                if "200" in run_load(plan).statuses:
                    return
        time.sleep(1.0)
    raise RunError("a peer did not come up")


def cache(bench: Bench) -> Facts:
    """Answers that are known, with a key that is looked at."""
    with TemporaryDirectory() as folder:
        keys = Path(folder) / "keys.json"
        key = add_key(keys, "bench", scopes=("infer",))
        settings = ServeSettings(port=0, cache_bytes=64 * MIB, keys=keys)
        with bench.served("INT8", settings) as (port, _):
            plan = bench.plan(port, headers=(f"Authorization: Bearer {key}",), seconds=6.0)
            plan = replace(plan, bodies=plan.bodies[:200])
            run_load(plan)
            full = run_load(plan)
            under = run_load(replace(plan, rate=1500.0, seconds=10.0))
    return {"saturated": full.rate, "loader_cpu": full.loader_cpu_s / full.seconds, **_times(under)}


def start(bench: Bench) -> Facts:
    """Seconds until ready, memory and idle processor time of front and one engine."""
    ready = []
    for _ in range(7):
        started = time.perf_counter()
        with bench.served("INT8", replace(NO_CACHE, engines=1)):
            ready.append(time.perf_counter() - started)
    with bench.served("INT8", replace(NO_CACHE, engines=1)) as (port, pid):
        run_load(bench.plan(port, seconds=5.0))
        tree = _tree(pid)
        memory = sum(one.memory_info().rss for one in tree)
        time.sleep(2.0)
        before = _cpu(tree)
        time.sleep(20.0)
        idle = (_cpu(tree) - before) / 20.0
    return {"ready_s": ready, "resident_bytes": memory, "idle_cpu": idle}


def _tree(pid: int) -> list[psutil.Process]:
    return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]


def _cpu(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(one.cpu_times()[:2]) for one in processes)


def deaths(bench: Bench) -> Facts:
    """Engines killed 20 times under load, with every answer compared; then the front, once."""
    expected = _expected(bench, "INT8")
    with bench.served("INT8") as (port, pid):
        plan = bench.plan(port, seconds=4.0)
        rate = run_load(plan).rate
        plan = replace(plan, rate=0.7 * rate, seconds=40.0, expected=expected)
        with start_load(plan) as loading:
            for _ in range(20):
                time.sleep(1.7)
                engines = psutil.Process(pid).children()
                engines[0].kill()
            found = result_of(loading)
    engine = _times(found)
    command = [sys.executable, "-c", "from bertcompress_cli.main import main; main()"]
    words = ["serve", str(bench.folders["INT8"]), "--port", "0", "--cache", "0"]
    process = subprocess.Popen([*command, *words], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if " on http://" in line:
                break
        address = line.split(" on ")[1].split(";")[0]
        [front] = psutil.Process(process.pid).children()
        lost = 0
        with Client(address, texts_per_request=4) as client:
            for number in range(6):
                if number == 2:
                    front.kill()
                    killed = time.perf_counter()
                texts = bench.texts[16 * number : 16 * (number + 1)]
                lost += len(client.predict(texts)) != len(texts)
                if number == 2:
                    again = time.perf_counter() - killed
    finally:
        process.terminate()
        process.wait(60)
        if process.stderr is not None:
            process.stderr.close()
    return {"engines": engine, "front_again_s": again, "front_lost": lost}


def _expected(bench: Bench, name: str) -> tuple[str, ...]:
    with Predictor.open(bench.folders[name]) as model:
        found = model.predict(bench.texts).predictions
    return tuple(f'"label":"{one.answer}"' for one in found)


def overload(bench: Bench) -> Facts:
    """Three times what it can, and the end under load with 500 connections."""
    settings = replace(NO_CACHE, max_queue_seconds=2.0)
    with bench.served("INT8", settings) as (port, _):
        plan = bench.plan(port, seconds=4.0)
        rate = run_load(plan).rate
        full = run_load(replace(plan, rate=3 * rate, seconds=bench.overload_s))
        time.sleep(1.0)
        after = run_load(replace(plan, rate=0.5 * rate, seconds=3.0))
    with bench.served("INT8") as (port, pid):
        plan = bench.plan(port, connections=500, seconds=6.0)
        with start_load(plan) as loading:
            time.sleep(4.0)
            os.kill(pid, signal.SIGTERM)
            ended = result_of(loading)
    refused = np.quantile(full.refused_s, 0.99) if full.refused_s else 0.0
    return {
        "saturated": rate,
        "overloaded": {**_times(full), "refused_p99": float(refused)},
        "after": _times(after),
        "ended": _times(ended),
    }


def memory(bench: Bench) -> Facts:
    """Resident memory under texts of 1 to 512 tokens: the slope after the first sixth."""
    draw = np.random.default_rng(0)
    words = " ".join(bench.texts).split()
    bodies = []
    for _ in range(3000):
        count = int(draw.integers(1, 480))
        first = int(draw.integers(0, len(words) - count))
        bodies.append(json.dumps({"inputs": " ".join(words[first : first + count])}))
    seconds = bench.minutes * 60
    times, sizes = list[float](), list[float]()
    with bench.served("INT8", replace(NO_CACHE, cache_bytes=16 * MIB)) as (port, pid):
        plan = bench.plan(port, bodies=tuple(bodies), connections=8, seconds=seconds)
        started = time.monotonic()
        with start_load(plan) as loading:
            while time.monotonic() - started < seconds:
                time.sleep(5.0)
                times.append((time.monotonic() - started) / 60)
                sizes.append(sum(one.memory_info().rss for one in _tree(pid)) / 1e6)
            found = result_of(loading)
    late = [at for at, minute in enumerate(times) if minute >= bench.minutes / 6]
    slope = float(np.polyfit([times[at] for at in late], [sizes[at] for at in late], 1)[0])
    return {"minutes": bench.minutes, "slope": slope, "first": sizes[0], "last": sizes[-1],
            "statuses": found.statuses}  # fmt: skip


def same(bench: Bench) -> Facts:
    """One text alone, in a crowd, and from the cache: labels and differences."""
    found: Facts = {}
    for name, folder in bench.folders.items():
        with Predictor.open(folder, threads=1) as model:
            direct = [model.predict([text]).predictions[0] for text in bench.texts]
        with bench.served(name, ServeSettings(port=0)) as (port, _):
            ways: dict[str, list[Any]] = {}
            with Client(f"http://127.0.0.1:{port}", texts_per_request=1) as client:
                ways["alone"] = client.predict(bench.texts)
                ways["cached"] = client.predict(bench.texts)
        with (
            bench.served(name) as (port, _),
            Client(f"http://127.0.0.1:{port}", texts_per_request=200) as client,
        ):
            ways["batched"] = client.predict(bench.texts)
        right = [one.details["scores"] for one in direct]
        found[name] = {
            way: {
                "labels": sum(a["label"] != b.answer for a, b in zip(rows, direct, strict=True)),
                "largest": max(
                    abs(row["scores"][label] - score[label])
                    for row, score in zip(rows, right, strict=True)
                    for label in score
                ),
            }
            for way, rows in ways.items()
        }
    return found


PARTS: dict[str, Callable[[Bench], Facts]] = {
    "rates": rates,
    "times": quantiles_at_load,
    "peers": peers,
    "cache": cache,
    "start": start,
    "deaths": deaths,
    "overload": overload,
    "memory": memory,
    "same": same,
}


if __name__ == "__main__":
    raise SystemExit(main())
