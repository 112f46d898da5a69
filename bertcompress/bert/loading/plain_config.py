"""The configuration of a saved graph, read from its JSON alone.

Transformers imports torch to read any configuration, which takes longer than a graph needs for its
first answer. Of a graph's configuration only a few fields matter, and where `save` wrote the folder
they stand in the file as Transformers had checked them. Anything unusual is left to Transformers:
`plain_config` gives None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from bertcompress.bert.families import input_names_of, known_family, longest_text

_PROBLEMS = (
    None,
    "regression",
    "single_label_classification",
    "multi_label_classification",
)
_LEFT_TO_TRANSFORMERS = ("pruned_heads", "num_labels", "auto_map")


@dataclass(frozen=True)
class PlainConfig:
    """What a configuration says of what goes into a model and what comes out of it.

    Attributes:
        model_type: See `bertcompress.bert.families`.
        architectures: The name of the model class.
        id2label: The class name of each output.
        problem_type: What a text classifier was trained for.
        input_names: The names of the inputs that the model takes.
        longest: The tokens that it has positions for.
        sentence_transformers: What a cross-encoder says of itself, in version 4 and later.
        sbert_ce_default_activation_function: And before.
    """

    model_type: str
    architectures: Sequence[str] | None
    id2label: Mapping[int, str]
    problem_type: str | None
    input_names: tuple[str, ...]
    longest: int
    sentence_transformers: object = None
    sbert_ce_default_activation_function: object = None

    @property
    def num_labels(self) -> int:
        """The number of outputs."""
        return len(self.id2label)


def plain_config(fields: Mapping[str, object]) -> PlainConfig | None:
    """Returns a configuration, None where its JSON leaves anything to Transformers.

    Args:
        fields: What ``config.json`` holds.
    """
    family = known_family(fields.get("model_type"))
    labels = _labels(fields.get("id2label", {"0": "LABEL_0", "1": "LABEL_1"}))
    classes = fields.get("architectures")
    segments = fields.get("type_vocab_size", 0 if family and not family.has_token_types else None)
    counts = [fields.get("max_position_embeddings"), segments]
    if family is not None and family.positions_after_padding:
        counts.append(fields.get("pad_token_id"))
    problem = fields.get("problem_type")
    unusual = (
        family is None
        or labels is None
        or any(fields.get(name) for name in _LEFT_TO_TRANSFORMERS)
        or not (classes is None or _are_texts(classes))
        or any(type(count) is not int for count in counts)
        or problem not in _PROBLEMS
    )
    if unusual or family is None or labels is None:
        return None
    return PlainConfig(
        model_type=str(fields["model_type"]),
        architectures=cast("Sequence[str] | None", classes),
        id2label=labels,
        problem_type=cast("str | None", problem),
        input_names=input_names_of(family, segments=cast("int", segments)),
        longest=longest_text(fields),
        sentence_transformers=fields.get("sentence_transformers"),
        sbert_ce_default_activation_function=fields.get("sbert_ce_default_activation_function"),
    )


def _labels(found: object) -> dict[int, str] | None:
    if not isinstance(found, Mapping) or not _are_texts([*found.values()]):
        return None
    if not all(str(key).isdecimal() for key in found):
        return None
    return {int(key): name for key, name in found.items()}


def _are_texts(found: object) -> bool:
    return isinstance(found, list) and all(isinstance(entry, str) for entry in found)
