"""INT8 by NNCF: its smoothing, its ranges, its biases, in a graph that runs on integers.

NNCF (post-training quantization, model type *transformer*, preset *mixed*) runs the float graph
over drawn texts, one at a time and without padding, and writes Q/DQ pairs. It takes the dynamo
exporter's graph of opset 23 with the standard ``Attention``. What differs from `QuantizeStatic`:

* **SmoothQuant** (arXiv:2211.10438): ``x / s`` and ``s * W`` for each input channel, with ``s_j =
  max|x_j| ** alpha / max|W_j| ** (1 - alpha)``; outliers of the activation move into the weight.
  Its price is a ``Mul`` before each quantization.
* **Ranges**: the mean over the texts of their minima and maxima, not percentiles.
* **Bias correction**: the mean error of a product's outputs is taken off the bias that follows.

What is done here, because nothing in NNCF does it:

* Activations become unsigned, exactly (`graph.qdq`): with NNCF's own signed ones, ONNX Runtime on
  x64 leaves 20 of the 38 products of a MiniLM in float.
* Only weight products are quantized. NNCF would quantize the inputs of ``Attention`` too, which
  ONNX Runtime computes in float, and would keep embedding tables in a form that is turned back
  into floats whole at each run; ours are `graph.embeddings`.
* The result goes through the audit of all quantize passes: a product that runs in float is named.

With ``portable`` OpenVINO runs the same graph, as fast as with signed activations.

**Accuracy control** (`max_drop`): NNCF measures the task's own metric on held-out examples and puts
products back into float, the most harmful first, until no more than `max_drop` is lost; see
`nncf_backend` for what has to be done before. The loss is measured once more on what is returned.

Source: https://docs.openvino.ai/2025/openvino-workflow/model-optimization-guide.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from bertcompress.artifacts.artifact import Kind, OnnxModel
from bertcompress.data.partition import hold_out, sample
from bertcompress.errors import AccuracyGateError, CalibrationError, UsageError
from bertcompress.examples import Example
from bertcompress.graph.for_onnxruntime import shaped_for_onnxruntime
from bertcompress.graph.integer.embeddings import quantize_embeddings
from bertcompress.graph.integer.foreign_qdq import (
    is_quantized,
    quantize_weight,
    settle_products,
    share_quantizations,
    unsigned_activations,
)
from bertcompress.graph.integer.integer_products import inputs_now
from bertcompress.graph.products import HEADS, WeightProduct
from bertcompress.inference.texts import Texts
from bertcompress.passes.base import Pass
from bertcompress.passes.context import Context
from bertcompress.passes.quantize.audit import (
    NncfCalibration,
    QuantizationDetails,
    audited,
    check_patterns,
    split_products,
)
from bertcompress.passes.quantize.held_out import HeldOut
from bertcompress.passes.quantize.nncf_backend import (
    Feed,
    NncfWork,
    import_nncf,
    quantize,
    quantize_within,
    smooth,
)
from bertcompress.passes.samples import draw_samples
from bertcompress.passes.settings import Need, check_optional_counts

if TYPE_CHECKING:
    import onnx

Restore = Literal["products", "activations"]
RESTORES: tuple[Restore, ...] = ("products", "activations")
"""What of a product goes back into float: all of it, or its activation alone."""
HELD_OUT = 500
"""Examples that accuracy is measured on, where no number is given."""


@dataclass(frozen=True)
class QuantizeNncf(Pass[OnnxModel, OnnxModel]):
    """Quantizes weights and activations to 8 bits as NNCF chooses.

    Attributes:
        samples: The number of examples to calibrate on; all, if there are no more.
        max_length: Where longer texts are cut, in tokens; None for the model's own limit, 512 at
            most.
        smooth_alpha: How much of the difficulty SmoothQuant moves into the weights, 0..1; None
            leaves it out.
        max_drop: The most of the task's metric that may be lost on examples held out, 0..1,
            absolute; None measures nothing and puts nothing back. With it, labelled training
            examples are held out and the others are calibrated on.
        held_out: The number of those, never more than half of them; None for 500.
        restore: What of a product is put back: ``products`` into float whole, or the
            ``activations`` alone, so that the weights stay small. The search itself looks at whole
            products.
        embeddings: Whether the embedding tables become INT8 too.
        keep_float: Modules that stay in float, names or patterns.
        portable: Whether the graph keeps to standard operators, for OpenVINO and others.
        seed: Draws the examples, and the inputs on which the drift is measured; NNCF itself draws
            nothing.
    """

    samples: int = 300
    max_length: int | None = None
    smooth_alpha: float | None = 0.95
    max_drop: float | None = None
    held_out: int | None = None
    restore: Restore = "products"
    embeddings: bool = True
    keep_float: tuple[str, ...] = HEADS
    portable: bool = False
    seed: int = 0

    consumes: ClassVar[Kind] = "onnx"
    produces: ClassVar[Kind] = "onnx"

    def __post_init__(self) -> None:
        check_patterns(self.keep_float)
        check_optional_counts(samples=self.samples, max_length=self.max_length)
        if self.smooth_alpha is not None and not 0 <= self.smooth_alpha <= 1:
            raise UsageError(
                f"smooth_alpha must be 0 to 1, got {self.smooth_alpha:g}; leave it out for 0.95"
            )
        if self.restore not in RESTORES:
            raise UsageError(f"restore must be {' or '.join(RESTORES)}, got {self.restore!r}")
        if self.max_drop is None:
            if self.held_out is not None:
                raise UsageError("held_out is what max_drop is measured on; add max_drop")
            return
        if not 0 <= self.max_drop < 1:
            raise UsageError(
                f"max_drop must be in [0, 1), got {self.max_drop:g}; 0.01 is one point of accuracy"
            )

    @property
    def needs(self) -> tuple[Need, ...]:
        """Examples; labelled ones where accuracy is held."""
        return ("examples",) if self.max_drop is None else ("labels",)

    def check(self, context: Context) -> None:
        """Refuses a context without examples."""
        if not context.has_examples:
            raise UsageError("NNCF finds its ranges on data and none was given; add --data")

    def apply(self, model: OnnxModel, context: Context) -> tuple[OnnxModel, QuantizationDetails]:
        """Returns the quantized graph.

        Raises:
            UsageError: If `keep_float` fits nothing, or nothing is left to quantize; if there are
                too few labelled examples.
            MissingDependencyError: If NNCF is not installed.
            CalibrationError: If there is nothing to calibrate on.
            DataError: If the examples do not fit the task.
            FusionAuditError: If ONNX Runtime would run a product in float unasked.
            ParityError: If the answers collapsed.
            AccuracyGateError: If more than `max_drop` is lost.
        """
        products, stay = split_products(model, self.keep_float)
        import_nncf("quantizing with NNCF")
        calibrated_on, held = self._examples(context)
        source = shaped_for_onnxruntime(model.graph)
        tables = quantize_embeddings(source, portable=True) if self.embeddings else ()
        nodes = frozenset(product.node for product in products)
        work = NncfWork(source, nodes, self._feeds(model, calibrated_on), context.progress)
        held_out = HeldOut(model, held) if held else None
        graph = self._quantized(work, held_out)
        back: tuple[WeightProduct, ...] = ()
        if held_out is not None:
            back = tuple(product for product in products if not is_quantized(graph, product))
        settle(graph, source, products, portable=self.portable)
        if self.restore == "activations":
            for product in back:
                quantize_weight(graph, product)
        left = back if self.restore == "products" else ()
        told = audited(
            model,
            graph,
            quantized=tuple(product for product in products if product not in left),
            stay=(*stay, *left),
            seed=self.seed,
        )
        details = replace(
            told,
            nncf_calibration=NncfCalibration(len(work.feeds), self.smooth_alpha),
            int8_embedding_tables=", ".join(tables) or "none",
        )
        if held_out is not None:
            details = self._held(details, held_out, graph, back)
        return replace(model, graph=graph), details

    def _examples(self, context: Context) -> tuple[Sequence[Example], Sequence[Example]]:
        """Returns what is calibrated on, and what is held out."""
        if self.max_drop is None:
            return context.examples, ()
        labelled, count = context.train, HELD_OUT if self.held_out is None else self.held_out
        apart = context.validation
        fitted, judging = (labelled, apart) if apart else hold_out(labelled, one_in=2)
        if not labelled:
            raise UsageError(
                "max_drop is measured on labelled training examples and none were held out; add "
                "--data, or leave max_drop out"
            )
        if count < 1 or not judging:
            raise UsageError(
                f"held_out must be 1 or more of at least 2 labelled training examples, got {count} "
                f"of {len(labelled)}"
            )
        return fitted, sample(judging, min(count, len(judging)), seed=self.seed)

    def _feeds(self, model: OnnxModel, examples: Sequence[Example]) -> list[Feed]:
        drawn = draw_samples(examples, self.samples, seed=self.seed)
        features = Texts.of(model, drawn, max_length=self.max_length).features
        if not features:
            raise CalibrationError(
                "NNCF calibrates on texts and none were drawn; give it some hundred like those "
                "that the model will see"
            )
        names = [value.name for value in model.graph.graph.input]
        return [{name: feature.inputs[name][None] for name in names} for feature in features]

    def _quantized(self, work: NncfWork, held_out: HeldOut | None) -> onnx.ModelProto:
        if held_out is None or self.max_drop is None:
            return quantize(work, smooth_alpha=self.smooth_alpha)
        if self.smooth_alpha is not None:
            work = replace(work, graph=smooth(work, smooth_alpha=self.smooth_alpha))
        return quantize_within(work, held_out, max_drop=self.max_drop)

    def _held(
        self,
        details: QuantizationDetails,
        held_out: HeldOut,
        graph: onnx.ModelProto,
        back: Sequence[WeightProduct],
    ) -> QuantizationDetails:
        """Measures what was lost once more, on the graph as it will be kept, and adds it."""
        most = self.max_drop or 0.0
        float_value, int8_value = held_out.score(held_out.graph), held_out.score(graph)
        if float_value - int8_value > most:
            raise AccuracyGateError(
                f"NNCF could not hold {held_out.metric} on {len(held_out.examples)} held-out "
                f"examples: {int8_value:.4f} instead of {float_value:.4f}, and only "
                f"{most:g} may be lost; allow more, or keep the model in float"
            )
        names = ", ".join(product.module for product in back) or "none"
        return replace(
            details,
            products_put_back_into_float=names if self.restore == "products" else None,
            activations_put_back_into_float=names if self.restore == "activations" else None,
            accuracy_control={
                "held-out examples": len(held_out.examples),
                f"{held_out.metric} in float": float_value,
                f"{held_out.metric} in INT8": int8_value,
                "largest loss allowed": most,
            },
        )


def settle(
    graph: onnx.ModelProto,
    source: onnx.ModelProto,
    products: tuple[WeightProduct, ...],
    *,
    portable: bool,
) -> None:
    """Makes NNCF's graph one that ONNX Runtime runs as integers, in place.

    Args:
        graph: As NNCF made it.
        source: What it was made of; its tensors' shapes hold for this one too, and what NNCF wrote
            about shapes is dropped: it names initializers, see `graph.tidy`.
        products: Those that NNCF was asked to quantize.
        portable: Whether to keep to standard operators.
    """
    del graph.graph.value_info[:]
    graph.graph.value_info.extend(source.graph.value_info)
    unsigned_activations(graph)
    share_quantizations(graph)
    settle_products(graph, inputs_now(source, products), portable=portable)
