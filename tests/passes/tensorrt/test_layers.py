"""The table of layers: both ways in which TensorRT's inspector writes types, and names alone."""

from __future__ import annotations

import json

import pytest

from bertcompress.errors import BuildError
from bertcompress.passes.tensorrt.layers import precision_counts, read_layers


def layer(inputs: list[dict[str, str]], outputs: list[dict[str, str]]) -> str:
    one = {"Name": "ffn", "LayerType": "gemm", "Inputs": inputs, "Outputs": outputs}
    return json.dumps({"Layers": [one]})


def old(text: str) -> dict[str, str]:
    return {"Name": "t", "Format/Datatype": text}


def new(kind: str) -> dict[str, str]:
    return {"Name": "t", "Format": "Row major linear FP32 format (kLINEAR)", "DataType": kind}


@pytest.mark.parametrize(
    ("tensor", "precision"),
    [
        (old("Row major linear FP16 format"), "FP16"),
        (old("Half"), "FP16"),
        (old("Thirty-two wide channel vectorized row major Int8 format"), "INT8"),
        (old("Row major linear BFloat16 format"), "BF16"),
        (old("Row major linear FP8 format"), "FP8"),
        (old("Row major linear FP32"), "FP32"),
        (old("Row major Int32 format"), "INT32"),
        (new("Float"), "FP32"),
        (new("Half"), "FP16"),
        (new("BFloat16"), "BF16"),
        (new("Int8"), "INT8"),
        (new("FP8"), "FP8"),
        (new("Int64"), "INT64"),
        (new("Bool"), "BOOL"),
        (old("Complex"), ""),
    ],
)
def test_types_by_their_words(tensor: dict[str, str], precision: str) -> None:
    [row] = read_layers(layer([tensor], [tensor]))
    assert row == {"name": "ffn", "type": "gemm", "precision": precision, "output": precision}


def test_a_product_computes_in_the_narrowest_type_it_is_given() -> None:
    [row] = read_layers(layer([new("Half"), new("Int8"), new("Float")], [new("Half")]))
    assert (row["precision"], row["output"]) == ("INT8", "FP16")
    [row] = read_layers(layer([new("Int64")], [new("Half")]))
    assert row["precision"] == "INT64"
    [row] = read_layers(layer([], [new("Half")]))
    assert row["precision"] == "FP16"


def test_names_alone() -> None:
    [row] = read_layers(json.dumps({"Layers": ["a layer"]}))
    assert row == {"name": "a layer", "type": "", "precision": "", "output": ""}
    assert precision_counts([row, row, {"precision": "INT8"}]) == {"not told": 2, "INT8": 1}


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_what_is_no_table(text: str) -> None:
    with pytest.raises(BuildError, match="no table of layers"):
        read_layers(text)
