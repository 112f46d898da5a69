"""Changes to files, drawn from a seed: each keeps most of a file's structure and breaks one thing.

A file of random bytes is refused by the first line of any reader. What reaches the code behind it
is a file that is right but for a number, a type, a name, a level too many.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

Json = Any
_LONG = "x" * 100_000
_HUGE, _DEEP = "@@HUGE@@", "@@DEEP@@"
_MARKS = {f'"{_HUGE}"': "9" * 5000, f'"{_DEEP}"': "[" * 50_000 + "]" * 50_000}
"""What `json.dumps` can't write: numbers of thousands of digits, and lists in lists in lists."""

NUMBERS = (
    *(0, -1, 1, 2, 7, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, -(2**63), 10**12, 10**30),
    *(0.0, -0.0, 0.5, 1e-320, 1e308, -1e308, float("nan"), float("inf"), -float("inf")),
)
TEXTS = (
    *(
        "",
        " ",
        "\0",
        "a\0b",
        "\ud800",
        "x\udfff",
        "\u202e",
        "\x1b[31m",
        "a\nb",
        "::error::x",
        _LONG,
    ),
    *("../../x", "/etc/passwd", "/dev/zero", "~", "$HOME", "$X", "%s%n", "{}", "null", "NaN", "-1"),
    *(
        _LONG,
        "nan",
        "inf",
        "1e999",
        "true",
        "é",
        "e\u0301",
        "\U0001f600",
        "config.json",
        ".",
        "..",
        "con",
    ),
)
OTHERS = (None, True, False, [], {}, [[]], [None], {"": None}, {"a": 1}, [1, "a"], _HUGE, _DEEP)


def mutated_json(value: Json, draw: random.Random) -> bytes:
    """Returns a JSON file like `value` with one to three things wrong."""
    value = copy.deepcopy(value)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        value = _changed(value, draw)
    text = json.dumps(value)
    for mark, instead in _MARKS.items():
        text = text.replace(mark, instead)
    if draw.random() < 0.1 and '": ' in text:  # a key twice
        key = text[text.index('"') : text.index('": ') + 1]
        text = text.replace("{", f"{{{key}: {draw.choice(('null', '-1', '[]'))}, ", 1)
    content = text.encode()
    return mutated_bytes(content, draw) if draw.random() < 0.15 else content


def mutated_yaml(value: Json, draw: random.Random) -> bytes:
    """Returns a YAML file; JSON is YAML, and YAML has more ways to be wrong."""
    content = mutated_json(value, draw)
    if draw.random() < 0.4:
        lines = draw.choice(_YAML_TAILS)
        content = json.dumps(value).encode()[:-1] + f', "{draw.choice(list(value))}": '.encode()
        content += lines.encode() + b"}"
    return content


_BOMB = "&a [x, x, x, x, x, x, x, x, x], z1: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]" + "".join(
    f", z{at}: &{chr(97 + at)} [{', '.join([f'*{chr(96 + at)}'] * 9)}]" for at in range(2, 12)
)
_YAML_TAILS = (
    *("&a [*a]", "&a {b: *a}", _BOMB, "!!python/object/apply:os.system [true]", "2001-99-99"),
    *("!!timestamp x", '!!int ""', "!!binary x", "!!set {a, b}", "{? [a] : b}", "<<: 1", "*none"),
    *(".nan", ".inf", "-.inf", '"\\0"', '"\\ud800"', "0x" + "f" * 5000, "1:1:1:1", "!!float x"),
    *("!!bool x", "!!omap [a: 1]", "&a !!set {x}", "[" * 3000, "{a: " * 3000, "? a", "9" * 5000),
)


def mutated_text(content: bytes, draw: random.Random) -> bytes:
    """Returns a text file with lines dropped, doubled, joined or filled with what is legal."""
    if draw.random() < 0.3:
        return mutated_bytes(content, draw)
    lines = content.decode().split("\n")
    for _ in range(draw.choice((1, 1, 2, 4))):
        at = draw.randrange(len(lines))
        text = draw.choice(TEXTS).encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        lines[at] = draw.choice(
            (
                "",
                lines[at] * 2,
                text,
                f'"{text}',
                f"{lines[at]},{text}\t{text}",
                lines[at].replace(",", "\t"),
                lines[at].replace('"', ""),
                f'{lines[at]}"',
                "[" * 5000,
                f'{{"text": {"9" * 5000}}}',
                f'{{"text": {"[" * 5000}',
                '{"text": "\\ud800", "label": NaN}',
                json.dumps({"text": draw.choice((*NUMBERS, *OTHERS)), "label": draw.choice(TEXTS)}),
            )
        )
    return "\n".join(lines).encode()


def mutated_bytes(content: bytes, draw: random.Random) -> bytes:
    """Returns a file that was cut off, flipped, written in another encoding, or is none."""
    at = draw.randrange(len(content) + 1)
    text = content.decode("utf-8", "replace")
    return draw.choice(
        (
            lambda: b"",
            lambda: b" \n",
            lambda: content[:at],
            lambda: content[:at] + bytes([draw.randrange(256)]) + content[at + 1 :],
            lambda: content[:at] + b"\0" + content[at:],
            lambda: content[:at] + content[draw.randrange(len(content) + 1) :],
            lambda: content + content,
            lambda: b"\xef\xbb\xbf" + content,
            lambda: text.encode("utf-16"),
            lambda: text.encode("latin-1", "replace") + b"\xe9",
            lambda: b"[" * 100_000,
            lambda: b'{"a":' * 100_000,
            lambda: draw.randbytes(64),
            lambda: b"\xff" * 8 + content[8:],
            lambda: b"\0" * 8 + content[8:],
        )
    )()


def mutated_header(content: bytes, draw: random.Random) -> bytes:
    """Returns a safetensors file whose header is another, as long as it then is."""
    if draw.random() < 0.2:
        return mutated_bytes(content, draw)
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    meta = header.get("__metadata__", {})
    inner = [key for key, text in meta.items() if text.startswith("{")]
    if inner and draw.random() < 0.7:  # a file of JSON inside of JSON
        meta[inner[0]] = mutated_json(json.loads(meta[inner[0]]), draw).decode("utf-8", "replace")
        changed = json.dumps(header).encode()
    else:
        changed = mutated_json(header, draw)
    return len(changed).to_bytes(8, "little") + changed + content[8 + length :]


def mutated_graph(content: bytes, draw: random.Random) -> bytes:
    """Returns an ONNX graph with names, shapes, types, data or levels that are not right."""
    import onnx

    if draw.random() < 0.2:
        return mutated_bytes(content, draw)
    model = onnx.load_model_from_string(content)
    for _ in range(draw.choice((1, 1, 2))):
        draw.choice(_GRAPH_CHANGES)(model, draw)
    return bytes(model.SerializeToString())


def _changed(value: Json, draw: random.Random) -> Json:
    """Changes one place of a JSON value."""
    parent, key = _place(value, draw)
    instead: Json = copy.deepcopy(draw.choice((*NUMBERS, *TEXTS, *OTHERS)))
    if parent is None or draw.random() < 0.03:
        return instead
    match draw.randrange(8):
        case 0 if isinstance(parent, dict):
            del parent[key]
        case 1 if isinstance(parent, dict):
            parent[draw.choice(TEXTS)] = instead
        case 2 if isinstance(parent, dict):
            parent[str(instead)[:100]] = parent.pop(key)
        case 3 if isinstance(parent, list):
            parent.extend(parent[: draw.randrange(1, 50)])
        case 4 if isinstance(parent, list):
            del parent[key:]
        case 5:
            parent[key] = [parent[key]]
        case 6:
            other, at = _place(value, draw)
            parent[key] = copy.deepcopy(other[at])
        case _:
            parent[key] = instead
    return value


def _place(value: Json, draw: random.Random) -> tuple[Json, Json]:
    """Draws a place below a value, each level as likely as the next; none in a scalar."""
    parent, key = None, None
    while isinstance(value, (dict, list)) and value:
        parent, key = value, _key(value, draw)
        value = parent[key]
        if draw.random() < 0.3:
            break
    return parent, key


def _key(value: Json, draw: random.Random) -> Json:
    keys = list(value) if isinstance(value, dict) else range(min(len(value), 40))
    return draw.choice(keys)


Change = Callable[[Any, random.Random], None]


def _rename(model: Any, draw: random.Random) -> None:
    node = draw.choice(model.graph.node)
    names = [name for one in model.graph.node for name in (*one.input, *one.output)]
    names = draw.choice((names, ["", "x", "\0", _LONG]))
    which = node.input if draw.random() < 0.5 and node.input else node.output
    if which:
        which[draw.randrange(len(which))] = draw.choice(names)


def _retype(model: Any, draw: random.Random) -> None:
    node = draw.choice(model.graph.node)
    node.op_type = draw.choice(("", "MatMul", "Gemm", "Loop", "If", "Attention", "Constant", "X"))
    node.domain = draw.choice(("", "com.microsoft", "x"))


def _reshape(model: Any, draw: random.Random) -> None:
    tensor = draw.choice(model.graph.initializer)
    tensor.dims[:] = draw.choice(([], [0], [-1], [2**40, 2**40], [2**62], [1] * 100, [10**9]))


def _restore(model: Any, draw: random.Random) -> None:
    tensor = draw.choice(model.graph.initializer)
    tensor.data_type = draw.choice((*range(24), 99, -1))
    if draw.random() < 0.5:
        tensor.raw_data = draw.randbytes(draw.randrange(20))


def _outside(model: Any, draw: random.Random) -> None:
    tensor = draw.choice(model.graph.initializer)
    tensor.ClearField("raw_data")
    tensor.data_location = tensor.EXTERNAL
    facts = {
        "location": draw.choice(("../../x", "/etc/passwd", "/dev/zero", "", "\0", "model.onnx")),
        "offset": draw.choice(("0", "-1", "x", "9" * 30, "9" * 5000)),
        "length": draw.choice(("0", "-1", "x", "9" * 18, "9" * 30)),
    }
    for key in draw.sample(list(facts), draw.randrange(4)):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, facts[key]


def _nest(model: Any, draw: random.Random) -> None:
    graph = model.graph
    for at in range(draw.choice((1, 5, 30, 45))):
        node = graph.node.add(op_type="If", input=["x"], output=[f"y{at}"])
        attribute = node.attribute.add(name="then_branch", type=5)
        graph = attribute.g


def _call(model: Any, draw: random.Random) -> None:
    for at in range(2):  # each calls the other
        function = model.functions.add(name=f"f{at}", domain="own", input=["x"], output=["y"])
        function.node.add(op_type=f"f{1 - at}", domain="own", input=["x"], output=["y"])
        function.opset_import.add(domain="own", version=1)
    model.graph.node.add(op_type="f0", domain="own", input=["input_ids"], output=["f.y"])
    model.opset_import.add(domain="own", version=1)


def _circle(model: Any, draw: random.Random) -> None:
    nodes = [node for node in model.graph.node if node.input and node.output]
    for node in draw.sample(nodes, min(3, len(nodes))):
        node.input[0] = draw.choice((node.output[0], draw.choice(nodes).output[0]))


def _inputs(model: Any, draw: random.Random) -> None:
    value = draw.choice((*model.graph.input, *model.graph.output))
    if draw.random() < 0.5:
        value.name = draw.choice(("", "x", "input_ids", "logits", "\0", "attention_mask"))
        return
    value.type.tensor_type.elem_type = draw.choice((0, 1, 7, 8, 99))
    del value.type.tensor_type.shape.dim[draw.randrange(2) :]
    value.type.tensor_type.shape.dim.add(dim_value=draw.choice((-1, 0, 2**62)))


def _attribute(model: Any, draw: random.Random) -> None:
    nodes = [node for node in model.graph.node if node.attribute]
    attribute = draw.choice(draw.choice(nodes).attribute)
    attribute.type = draw.choice(range(15))
    attribute.i = draw.choice((0, -1, 2**62))
    attribute.ints[:] = draw.choice(([], [2**62], [-1, -1, -1], [9, 9, 9, 9]))
    attribute.f = draw.choice((0.0, float("nan")))


def _drop(model: Any, draw: random.Random) -> None:
    parts = (
        *(model.graph.node, model.graph.initializer, model.graph.input),
        *(model.graph.output, model.opset_import, model.graph.value_info),
    )
    part = draw.choice(parts)
    if part:
        del part[draw.randrange(len(part)) :][:1]
    if model.opset_import and draw.random() < 0.3:
        model.opset_import[0].version = draw.choice((0, -1, 1, 999, 2**62))


_GRAPH_CHANGES: tuple[Change, ...] = (
    *(_rename, _retype, _reshape, _restore, _outside, _nest),
    *(_call, _circle, _inputs, _attribute, _drop),
)
