"""Which input of a graph is which, and which output: by the names that exporters give them.

Ours are those of Transformers: ``input_ids``, ``attention_mask``, ``token_type_ids``; ``logits``,
``start_logits`` and ``end_logits``, ``last_hidden_state``. Older code bases (Google's, TensorFlow's
converter, ONNX Runtime's examples, Optimum for sentence-transformers) have others for the same. A
name is taken for another only where nothing else could be meant; a graph with a name that says
nothing, beside others of that kind, is refused with the name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from bertcompress.errors import LoadError

if TYPE_CHECKING:
    import onnx

INPUT_IDS, MASK, SEGMENTS, POSITIONS = (
    "input_ids",
    "attention_mask",
    "token_type_ids",
    "position_ids",
)
_INPUTS = {
    INPUT_IDS: ("input_ids", "ids", "tokens", "token_ids", "input_word_ids"),
    MASK: ("attention_mask", "input_mask", "mask"),
    SEGMENTS: ("token_type_ids", "segment_ids", "segments", "input_type_ids", "type_ids"),
    POSITIONS: ("position_ids", "positions"),
}
_STANDARD_OUTPUTS = {
    "text-classification": ("logits",),
    "token-classification": ("logits",),
    "question-answering": ("start_logits", "end_logits"),
    "feature-extraction": ("last_hidden_state",),
}
_OTHER_OUTPUTS = {
    "last_hidden_state": ("token_embeddings", "hidden_states", "sequence_output"),
    "start_logits": ("start", "start_scores", "output_start_logits"),
    "end_logits": ("end", "end_scores", "output_end_logits"),
    "logits": ("output_logits", "scores"),
}
_VECTOR = "sentence_embedding"
_POOLED = (_VECTOR, "pooler_output", "pooled_output")
_SAYS_NOTHING = re.compile(r"(output|unstack)?[._]?\d*")


def input_roles(names: Iterable[str]) -> dict[str, str]:
    """Returns our name of each input that is an encoder's, by the graph's name of it.

    One input that is left over is the ids, if nothing else is.

    >>> input_roles(["input_ids", "input_mask", "segment_ids:0"])
    {'input_ids': 'input_ids', 'input_mask': 'attention_mask', 'segment_ids:0': 'token_type_ids'}
    """
    given = [*names]
    roles = {
        name: role for name in given for role, known in _INPUTS.items() if _bare(name) in known
    }
    left = [name for name in given if name not in roles]
    if len(left) == 1 and roles and INPUT_IDS not in roles.values():
        roles[left[0]] = INPUT_IDS
    return roles


def check_inputs(names: Sequence[str], graph: str) -> dict[str, str]:
    """Returns the roles of all inputs of an encoder's graph, by their names.

    Args:
        names: The graph's inputs.
        graph: What messages call it.

    Raises:
        LoadError: If one is not known, or two are the same.
    """
    roles = input_roles(names)
    unknown = [name for name in names if name not in roles]
    twice = {role for role in roles.values() if [*roles.values()].count(role) > 1}
    if unknown or twice or INPUT_IDS not in roles.values():
        which = unknown or [name for name in names if roles.get(name) in twice] or names
        raise LoadError(
            f"{graph} takes the inputs {', '.join(names) or 'none'}, and it is not known what "
            f"{', '.join(which)} {'is' if len(which) == 1 else 'are'}; export it with the input "
            f"names {INPUT_IDS}, {MASK} and {SEGMENTS}"
        )
    return roles


def output_roles(task: str, names: Sequence[str]) -> dict[str, str]:
    """Returns our name of each output that the task needs, by the graph's name of it.

    Args:
        task: A name from `bertcompress.tasks`.
        names: The graph's outputs, in its order.

    Returns:
        Empty where it can't be told.

    >>> output_roles("question-answering", ["output_0", "output_1"])
    {'output_0': 'start_logits', 'output_1': 'end_logits'}
    """
    wanted = _STANDARD_OUTPUTS[task]
    if task == "feature-extraction" and [*names] == [_VECTOR]:
        return {_VECTOR: _VECTOR}  # pooled in the graph, as `export --pooled` does
    found: dict[str, str] = {}
    for role in wanted:
        same = [name for name in names if _bare(name) == role]
        near = [name for name in names if _bare(name) in _OTHER_OUTPUTS[role]]
        taken = same or near
        if len(taken) == 1:
            found[taken[0]] = role
    if len(found) == len(wanted):
        return found
    open_ = [name for name in names if _bare(name) not in _POOLED]
    silent = all(_SAYS_NOTHING.fullmatch(_bare(name)) for name in open_)
    if not found and len(open_) == len(wanted) and (silent or len(wanted) == 1):
        return dict(zip(open_, wanted, strict=True))
    if not found and silent and task == "feature-extraction" and open_:
        return {open_[0]: wanted[0]}  # what else a model returns comes after the hidden states
    return {}


def check_outputs(task: str, names: Sequence[str], graph: str) -> dict[str, str]:
    """Returns the roles of the outputs that a task needs, by their names.

    Raises:
        LoadError: If one of them is not there, or it can't be told which it is.
    """
    roles = output_roles(task, names)
    if not roles:
        raise LoadError(
            f"{graph} gives {', '.join(names)}, and {task} needs "
            f"{' and '.join(_STANDARD_OUTPUTS[task])}; export it for this task, with that output "
            "name"
        )
    return roles


def fixed_length(graph: onnx.ModelProto) -> int | None:
    """Returns the number of tokens that a graph takes, None for any number."""
    for value in graph.graph.input:
        axes = value.type.tensor_type.shape.dim
        if input_roles([value.name]) and len(axes) == 2 and axes[1].HasField("dim_value"):
            return int(axes[1].dim_value)
    return None


def with_names(graph: onnx.ModelProto, names: Mapping[str, str]) -> None:
    """Gives tensors other names, in place, wherever they are read, subgraphs too.

    A tensor that has one of the new names already gets another.
    """
    new = {name for old, name in names.items() if old != name}
    made = {output for node in graph.graph.node for output in node.output}
    made |= {value.name for value in (*graph.graph.input, *graph.graph.initializer)}
    aside = {name: f"{name}.other" for name in new & made if name not in names}
    _rename(graph.graph, {**aside, **names})


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        for at, name in enumerate(node.input):
            node.input[at] = names.get(name, name)
        for at, name in enumerate(node.output):
            node.output[at] = names.get(name, name)
        for attribute in node.attribute:
            for part in (attribute.g, *attribute.graphs):
                _rename(part, names)


def _bare(name: str) -> str:
    """Returns a name without TensorFlow's number of an output, in small letters."""
    return re.sub(r":\d+$", "", name).rsplit("/", 1)[-1].lower()
