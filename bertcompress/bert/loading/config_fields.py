"""What of a ``config.json`` says what the model is; the rest was meant for other callers.

Whoever trained or served the model before may have left switches in the file: how attention is
computed, what a call returns, how weights were packed on another machine. Transformers obeys them,
so that a model returns tuples, asks for a kernel that is not there, or runs another class. None of
them changes what the model answers. They are left out here, once, and every verb sees one plain
configuration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bertcompress.errors import LoadError
from bertcompress.progress import Note

_FOR_OTHER_CALLERS = (
    *("return_dict", "use_return_dict", "output_attentions", "output_hidden_states"),
    *("torchscript", "use_bfloat16", "chunk_size_feed_forward", "gradient_checkpointing"),
    *("attn_implementation", "_attn_implementation", "_attn_implementation_internal"),
    *("_attn_implementation_autoset", "attn_impl", "experts_implementation"),
    *("_experts_implementation", "_flash_attn_2_enabled", "use_flash_attn", "kernel_config"),
    *("use_kernels", "dtype", "torch_dtype", "quantization_config", "compression_config"),
    *("use_cache", "is_encoder_decoder", "tie_encoder_decoder", "auto_map", "custom_pipelines"),
    "trust_remote_code",
)
"""Weights are read as float32 whatever `dtype` says; packed ones do not fit, and are refused."""
_OF_GENERATION = (
    *("max_length", "min_length", "do_sample", "early_stopping", "num_beams", "num_beam_groups"),
    *("diversity_penalty", "temperature", "top_k", "top_p", "typical_p", "repetition_penalty"),
    *("length_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "bad_words_ids"),
    *("num_return_sequences", "output_scores", "return_dict_in_generate", "forced_bos_token_id"),
    *("forced_eos_token_id", "remove_invalid_values", "exponential_decay_length_penalty"),
    *("suppress_tokens", "begin_suppress_tokens"),
)
_HEADS_WITH_LABELS = ("ForSequenceClassification", "ForTokenClassification")


def plain_fields(fields: Mapping[str, object], name: str, *, note: Note) -> dict[str, object]:
    """Returns what of a configuration says what the model is.

    Args:
        fields: What ``config.json`` holds.
        name: What the model was called, for messages.
        note: Is told where the names of labels contradict each other, and which are followed.

    Raises:
        LoadError: Labels are not named by number, or there are more or fewer than outputs; or the
            padding token has no row.
    """
    without = {*_FOR_OTHER_CALLERS, *_OF_GENERATION}
    plain = {field: value for field, value in fields.items() if field not in without}
    _check_padding(plain, name)
    if plain.get("id2label") is None:
        plain.pop("id2label", None)
        _tell_of_numbers_alone(plain, name, note)
        plain.pop("label2id", None)
        return plain
    labels = _labels(plain["id2label"], name)
    _check_count(plain, labels, name)
    _tell_of_other_numbers(plain.get("label2id"), labels, name, note)
    # One direction is enough, and the other can't contradict it.
    return {
        **plain,
        "id2label": {str(number): label for number, label in labels.items()},
        "label2id": {label: number for number, label in labels.items()},
    }


def _check_padding(fields: Mapping[str, object], name: str) -> None:
    padding, rows = fields.get("pad_token_id"), fields.get("vocab_size")
    if isinstance(padding, int) and isinstance(rows, int) and padding >= rows:
        raise LoadError(
            f"the config.json of {name} says that token {padding} is padding (pad_token_id), and "
            f"the table of tokens has {rows} rows (vocab_size); restore it from the original"
        )


def _labels(found: object, name: str) -> dict[int, str]:
    """Returns the class names by their number, in the order of the numbers."""
    labels: dict[int, str] = {}
    for key, label in found.items() if isinstance(found, Mapping) else ((None, None),):
        number = str(key).strip()
        if not number.isdecimal() or int(number) in labels or not isinstance(label, str | int):
            raise LoadError(
                f"the config.json of {name} must name each class by its number, such as "
                f'{{"0": "negative", "1": "positive"}}, found {str(found)[:80]}; correct id2label'
            )
        labels[int(number)] = str(label)
    return dict(sorted(labels.items()))


def _check_count(fields: Mapping[str, object], labels: Mapping[int, str], name: str) -> None:
    """Fails where ``num_labels`` is another: Transformers 4 follows the one, 5 the other."""
    count, classes = fields.get("num_labels"), fields.get("architectures")
    listed = isinstance(classes, Sequence) and bool(classes)
    labelled = any(str(classes).count(head) for head in _HEADS_WITH_LABELS)
    if isinstance(count, int) and count != len(labels) and (labelled or not listed):
        raise LoadError(
            f"the config.json of {name} says that there are {count} labels (num_labels) and names "
            f"{len(labels)} (id2label); correct the one that is wrong"
        )


def _tell_of_numbers_alone(fields: Mapping[str, object], name: str, note: Note) -> None:
    numbers = fields.get("label2id")
    if isinstance(numbers, Mapping) and numbers and not all(map(_is_bare, numbers)):
        note(
            f"{name}: config.json has label2id and no id2label: as in Transformers the labels are "
            "LABEL_0, LABEL_1, …; write id2label to give them names"
        )


def _tell_of_other_numbers(
    numbers: object, labels: Mapping[int, str], name: str, note: Note
) -> None:
    if not isinstance(numbers, Mapping):
        return
    for number, label in labels.items():
        other = numbers.get(label, number)
        if other != number:
            note(
                f"{name}: label {number} is {label!r} by id2label and {label!r} is {other} by "
                "label2id in config.json; id2label is followed, as Transformers does"
            )
            return


def _is_bare(label: object) -> bool:
    return str(label).startswith("LABEL_")
