"""What is known of a TensorRT engine: what it was made of, for which machine, and how.

An engine is machine code for one GPU and one version of TensorRT. Nothing in its file says so in
a form that a person or a check could read before it is loaded, and loading one runs what is in it.
So a *sidecar* lies beside each plan: its SHA-256, the machine it was built on, the profiles, the
settings, the precision of each layer and how its answers compare. An engine's *key* is the
SHA-256 of everything that decides what the builder makes; the bytes of the plan are not part of
it, since the builder times kernels and does not give the same bytes twice.

Source: https://docs.nvidia.com/deeplearning/tensorrt/latest/inference-library/engine-compatibility.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Literal

Hardware = Literal["none", "ampere+", "same-compute-capability"]
HARDWARE: tuple[Hardware, ...] = ("none", "ampere+", "same-compute-capability")
"""Which other GPUs run an engine: none, all from Ampere on, or all of the same generation."""

PACKED = "packed"
"""What an engine is for that takes batches without padding."""

_AMPERE = (8, 0)
_KEY_DIGITS = 20


@dataclass(frozen=True)
class Platform:
    """What an engine is bound to.

    Attributes:
        tensorrt: TensorRT's full version, ``10.16.1.11``.
        cuda: The CUDA runtime that torch brings, ``13.0``.
        driver: The driver's branch, ``580``; ``unknown`` where the system does not say.
        gpu: The GPU's name.
        sm: Its compute capability, ``9.0``.
        sm_count: Its streaming multiprocessors.
        vram_mib: Its memory, MiB.
        system: Operating system and architecture, ``linux-x86_64``.
    """

    tensorrt: str
    cuda: str
    driver: str
    gpu: str
    sm: str
    sm_count: int
    vram_mib: int
    system: str


_CALLED = {
    "tensorrt": "TensorRT {}",
    "cuda": "CUDA {}",
    "driver": "a driver of branch {}",
    "gpu": "{}",
    "sm": "compute capability {}",
    "sm_count": "{} multiprocessors",
    "vram_mib": "{} MiB of GPU memory",
    "system": "{}",
}


@dataclass(frozen=True)
class Profile:
    """The shapes ``[batch, length]`` that a part of an engine was made for.

    Attributes:
        least: The smallest.
        opt: The one that kernels were timed at.
        most: The largest.
    """

    least: tuple[int, int]
    opt: tuple[int, int]
    most: tuple[int, int]

    def holds(self, batch: int, length: int) -> bool:
        """Whether a batch of this shape can run in it."""
        return self.least[0] <= batch <= self.most[0] and self.least[1] <= length <= self.most[1]


def profile_for(profiles: Sequence[Profile], batch: int, length: int) -> int | None:
    """Returns the number of the smallest profile that holds a shape, None if none does.

    >>> narrow, wide = Profile((1, 1), (1, 9), (1, 16)), Profile((1, 1), (8, 40), (8, 64))
    >>> profile_for([wide, narrow], 1, 12), profile_for([wide, narrow], 1, 65)
    (1, None)
    """
    fitting = [at for at, profile in enumerate(profiles) if profile.holds(batch, length)]
    return min(
        fitting, key=lambda at: (profiles[at].most[0] * profiles[at].most[1], at), default=None
    )


@dataclass(frozen=True)
class EngineRecord:
    """The sidecar of a plan.

    Attributes:
        graph_sha256: Of the ONNX graph with its weights (`bertcompress.graph.fingerprint`).
        recipe_sha256: Of the steps that made the graph.
        platform: The machine that it was built on, and for.
        profiles: In the order of their numbers.
        knobs: The builder's settings.
        plan_sha256: Of the plan's bytes.
        layers: Name, type and precision of each layer, as TensorRT's inspector tells them.
        parity: How its answers compare with the graph's.
        log_sha256: Of what the builder logged.
        seconds: How long it was built.
    """

    graph_sha256: str
    recipe_sha256: str
    platform: Platform
    profiles: tuple[Profile, ...]
    knobs: Mapping[str, object]
    plan_sha256: str
    layers: tuple[Mapping[str, str], ...] = ()
    parity: Mapping[str, object] = field(default_factory=dict)
    log_sha256: str = ""
    seconds: float = 0.0

    @property
    def key(self) -> str:
        """What the engine's folder is called: the hash of all that decides what is built."""
        made_of = {
            "graph": self.graph_sha256,
            "recipe": self.recipe_sha256,
            "platform": asdict(self.platform),
            "profiles": [asdict(profile) for profile in self.profiles],
            "knobs": dict(self.knobs),
        }
        text = json.dumps(made_of, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_KEY_DIGITS]

    def to_json(self) -> dict[str, object]:
        """Returns the sidecar's content."""
        return {"key": self.key, **asdict(self)}

    @staticmethod
    def from_json(plain: object) -> EngineRecord:
        """Reads a sidecar's content.

        Raises:
            KeyError: A field is missing.
            TypeError: A field is of another type.
            ValueError: The key does not belong to the other fields.
        """
        if not isinstance(plain, dict):
            raise TypeError("it must hold a JSON object")
        known = {setting.name: plain[setting.name] for setting in fields(EngineRecord)}
        platform, profiles, layers = known["platform"], known["profiles"], known["layers"]
        if not (
            isinstance(platform, dict) and isinstance(profiles, list) and isinstance(layers, list)
        ):
            raise TypeError("platform, profiles and layers must be a mapping and two lists")
        known["platform"] = Platform(**platform)
        known["profiles"] = tuple(
            Profile(**{name: _pair(shape) for name, shape in shapes.items()}) for shapes in profiles
        )
        known["layers"] = tuple(layers)
        record = EngineRecord(**known)
        if plain.get("key") != record.key:
            raise ValueError(f"its key {plain.get('key')} is not that of its fields, {record.key}")
        return record


def differences(
    built: Platform, here: Platform, *, version_compatible: bool = False, hardware: str = "none"
) -> tuple[str, ...]:
    """Returns in words what differs between where an engine was built and where it is to run.

    Args:
        built: Where it was built.
        here: Where it is to run.
        version_compatible: Whether it also runs on newer TensorRT, with its CUDA and driver.
        hardware: One of `HARDWARE`, the GPUs that it also runs on.
    """
    newer = ("tensorrt", "cuda", "driver") if version_compatible else ()
    other = ("gpu", "sm_count", "vram_mib") if hardware != "none" else ()
    differing = []
    for name, called in _CALLED.items():
        before, now = getattr(built, name), getattr(here, name)
        if before == now or name in other:
            continue
        if name in newer and _numbers(now) >= _numbers(before):
            continue
        if name == "sm" and hardware == "ampere+" and _numbers(now) >= _AMPERE:
            continue
        differing.append(f"{called.format(before)} (here: {called.format(now)})")
    return tuple(differing)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _pair(shape: object) -> tuple[int, int]:
    if not isinstance(shape, list) or len(shape) != 2:
        raise TypeError(f"a shape must be [batch, length], got {shape!r}")
    return int(shape[0]), int(shape[1])
