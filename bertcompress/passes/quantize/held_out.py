"""What a graph answers to examples that are held out while it is made: a metric for searches."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.examples import Example
from bertcompress.inference.deployed import task_for
from bertcompress.inference.streams import Outputs
from bertcompress.inference.texts import Texts
from bertcompress.parity.outputs import signal_and_noise
from bertcompress.runtimes.fitting import IN_MEMORY
from bertcompress.runtimes.ort.runtime import OrtRuntime
from bertcompress.tasks.base import Prediction

if TYPE_CHECKING:
    import onnx

_BATCH_SIZE = 16


class HeldOut:
    """Scores graphs on examples of the training data that nothing else is done with.

    Embeddings have no right answer: they are compared with the float graph's own.

    Args:
        model: The float graph, and what it takes to feed it.
        examples: With labels, at least one.

    Attributes:
        examples: What it was made with.
        features: Their tokens.
        graph: The float graph.
        metric: The name of the task's metric; more of it is better.

    Raises:
        DataError: The examples do not fit the task.
    """

    def __init__(self, model: OnnxModel, examples: Sequence[Example]) -> None:
        task_for(model).check(examples)
        self._texts = Texts.of(model, tuple(examples))
        self.graph, self.metric = model.graph, self._texts.task.primary_metric
        self.examples, self.features = self._texts.examples, self._texts.features

    def run(self, graph: onnx.ModelProto, at: Sequence[int]) -> list[Outputs]:
        """Returns the outputs for the features at these positions, without batch axis."""
        with OrtRuntime(graph.SerializeToString(), threads=1, facts=IN_MEMORY) as runtime:
            return self._texts.outputs(runtime, batch_size=_BATCH_SIZE, at=at)

    def value(self, outputs: Sequence[Outputs]) -> float:
        """Returns the task's metric of the outputs for all features."""
        predictions = self._texts.predictions(outputs)
        return self._texts.task.score(predictions, self.examples, reference=self._answers).value

    def score(self, graph: onnx.ModelProto) -> float:
        """Returns the task's metric of a graph."""
        return self.value(self.run(graph, range(len(self.features))))

    def errors(self, outputs: Sequence[Outputs], at: Sequence[int]) -> list[float]:
        """Returns how far outputs are from the float graph's, for each of the features.

        ``sum((y - y') ** 2) / sum(y ** 2)``, over all values of all outputs ``y`` of one feature.

        Args:
            outputs: Of the features at these positions.
            at: The positions.
        """
        return [_error(self._outputs[i], given) for i, given in zip(at, outputs, strict=True)]

    @cached_property
    def _outputs(self) -> list[Outputs]:
        return self.run(self.graph, range(len(self.features)))

    @cached_property
    def _answers(self) -> list[Prediction]:
        return self._texts.predictions(self._outputs)


def _error(reference: Outputs, given: Outputs) -> float:
    sums = [signal_and_noise(values, given[name]) for name, values in reference.items()]
    signal, noise = sum(part for part, _ in sums), sum(part for _, part in sums)
    return noise / signal if signal > 0 else noise
