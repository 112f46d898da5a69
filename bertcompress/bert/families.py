"""The encoders this tool knows, and what their modules are called: a new family is one entry here.

All of them are stacks of post-norm layers: attention and FFN each end in an output projection,
whose result is added to the residual stream before a LayerNorm. They differ in names, in what they
are fed, and in where positions start. The classes of pruned models are in ``modeling_pruned_*.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from bertcompress.artifacts.model_config import INPUT_NAMES
from bertcompress.errors import LoadError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


@dataclass(frozen=True)
class LayerNames:
    """Where a layer keeps its modules, as paths below it.

    Attributes:
        attention_inputs: Query, key and value; their rows are the heads.
        attention_output: Its input columns are the heads; of an emptied attention only the bias.
        attention_norm: The LayerNorm after the attention.
        ffn_input: Its rows are the neurons.
        ffn_output: Its input columns are the neurons; of an emptied FFN only the bias.
        ffn_norm: The LayerNorm after the FFN.
        ffn_first: What runs from the FFN's input to the output projection, in this order; an
            emptied FFN may lack it.
    """

    attention_inputs: tuple[str, str, str]
    attention_output: str
    attention_norm: str
    ffn_input: str
    ffn_output: str
    ffn_norm: str
    ffn_first: tuple[str, ...]


BERT_LAYER = LayerNames(
    ("attention.self.query", "attention.self.key", "attention.self.value"),
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
    ("intermediate",),
)
DISTILBERT_LAYER = LayerNames(
    ("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    "attention.out_lin",
    "sa_layer_norm",
    "ffn.lin1",
    "ffn.lin2",
    "output_layer_norm",
    ("ffn.lin1", "ffn.activation"),
)


@dataclass(frozen=True)
class Family:
    """One kind of encoder.

    Attributes:
        name: As people write it.
        model_type: In ``config.json``.
        prefix: What its class names begin with.
        modeling: The module beside this one with its pruned classes.
        encoder: The module of the base model whose ``layer`` list holds the layers.
        layer: What a layer's modules are called.
        layers_field: The configuration's name for the number of layers.
        ffn_field: The configuration's name for the FFN width.
        has_pooler: Whether the bare encoder may have a pooler.
        has_token_types: Whether it knows segments.
        positions_after_padding: Whether the first position is the padding token's number + 1.
    """

    name: str
    model_type: str
    prefix: str
    modeling: str
    encoder: str = "encoder"
    layer: LayerNames = BERT_LAYER
    layers_field: str = "num_hidden_layers"
    ffn_field: str = "intermediate_size"
    has_pooler: bool = True
    has_token_types: bool = True
    positions_after_padding: bool = False

    @property
    def pruned_type(self) -> str:
        """The ``model_type`` of a model with unequal layers."""
        return f"pruned_{self.model_type.replace('-', '_')}"


def _robertas() -> Iterator[Family]:
    for name, model_type, prefix in (
        ("RoBERTa", "roberta", "Roberta"),
        ("XLM-RoBERTa", "xlm-roberta", "XLMRoberta"),
        ("CamemBERT", "camembert", "Camembert"),
    ):
        yield Family(
            name, model_type, prefix, "modeling_pruned_roberta", positions_after_padding=True
        )


FAMILIES = (
    Family("BERT", "bert", "Bert", "modeling_pruned_bert"),
    *_robertas(),
    Family("ELECTRA", "electra", "Electra", "modeling_pruned_electra", has_pooler=False),
    Family(
        "DistilBERT",
        "distilbert",
        "DistilBert",
        "modeling_pruned_distilbert",
        encoder="transformer",
        layer=DISTILBERT_LAYER,
        layers_field="n_layers",
        ffn_field="hidden_dim",
        has_pooler=False,
        has_token_types=False,
    ),
)
_BY_TYPE = {
    model_type: family
    for family in FAMILIES
    for model_type in (family.model_type, family.pruned_type)
}
_WHY_NOT = {"modernbert": ", whose joined query, key and value and gated FFN can't be cut yet"}


def known_family(model_type: object) -> Family | None:
    """Returns the family of a configuration's ``model_type``, None for one that is not known."""
    return _BY_TYPE.get(model_type) if isinstance(model_type, str) else None


def check_model_type(model_type: object) -> Family:
    """Returns the family of a ``model_type``.

    Raises:
        LoadError: If this tool does not know it.
    """
    family = known_family(model_type)
    if family is not None:
        return family
    found = f"a {model_type!r} model" if model_type else "a model without a model_type"
    why = _WHY_NOT.get(str(model_type), "")
    *most, last = (one.name for one in FAMILIES)
    raise LoadError(f"this is {found}{why}; bertcompress reads {', '.join(most)} and {last} models")


def family_of(config: PreTrainedConfig) -> Family:
    """Returns the family of a configuration, stock or pruned.

    Raises:
        LoadError: If this tool does not know it.
    """
    return check_model_type(config.model_type)


def input_names(config: PreTrainedConfig) -> tuple[str, ...]:
    """Returns the names of the inputs that a model takes, in the order of its graph's inputs."""
    segments = int(getattr(config, "type_vocab_size", 0) or 0)
    return input_names_of(family_of(config), segments=segments)


def input_names_of(family: Family, *, segments: int) -> tuple[str, ...]:
    """Returns the names of the inputs that a family's model with so many segments takes.

    Segments are left out where there is only one: that is how RoBERTa and its like are run.
    """
    return INPUT_NAMES if family.has_token_types and segments > 1 else INPUT_NAMES[:2]


def longest_text(config: PreTrainedConfig | Mapping[str, object]) -> int:
    """Returns the number of tokens that a model has positions for.

    RoBERTa and its like number positions from the padding token's number + 1 on, so that a table of
    514 rows is for 512 tokens.

    Args:
        config: A configuration, or what its ``config.json`` holds.
    """
    fields = cast("Any", config if isinstance(config, Mapping) else config.to_dict())
    family = known_family(fields.get("model_type"))
    rows = int(fields.get("max_position_embeddings") or 512)
    if family is None or not family.positions_after_padding:
        return rows
    return rows - int(fields.get("pad_token_id") or 0) - 1


def first_position(config: PreTrainedConfig | Mapping[str, object]) -> int:
    """Returns the number of the first token's position, see `longest_text`."""
    fields = cast("Any", config if isinstance(config, Mapping) else config.to_dict())
    family = known_family(fields.get("model_type"))
    if family is None or not family.positions_after_padding:
        return 0
    return int(fields.get("pad_token_id", 1) or 0) + 1


class NamesPadding(Protocol):
    """A tokenizer or a configuration."""

    @property
    def pad_token_id(self) -> object:
        """The number of the padding token, if it has one."""
        ...


def pad_token_of(source: NamesPadding) -> int:
    """Returns the number of the padding token, 0 where a tokenizer or configuration names none."""
    padding = source.pad_token_id
    return padding if isinstance(padding, int) else 0
