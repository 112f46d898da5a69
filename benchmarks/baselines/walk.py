"""A walk up the encoder: the original and the pruned model side by side, sub-layer by sub-layer.

At each sub-layer both published methods solve a least squares problem on the same sums: with ``x``
the inputs of the pruned model's output projection, ``r`` its residual, ``b`` its bias and ``z`` the
sum before the LayerNorm in the original, which runs on its own hidden states::

    xx = sum_t x x^T        yx = sum_t (z - r - b) x^T

Only real tokens count. Sources: Kwon et al. 2022, arXiv:2204.09656, section 4.3; Park, Choi and
Kang 2024, arXiv:2308.03449, section 3.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.pruning.sublayers import UNITS, Unit, enter, first_calls, leave, normed
from bertcompress.bert.structure import encoder_of, projection
from bertcompress.errors import PassError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Sums:
    """What one sub-layer's least squares need, float64.

    Attributes:
        xx: ``[inputs, inputs]``.
        yx: ``[outputs, inputs]``.
        yy: The targets' squares.
    """

    xx: torch.Tensor
    yx: torch.Tensor
    yy: float

    def error(self, weight: torch.Tensor) -> float:
        """Returns the squared error of a weight ``[outputs, inputs]``, summed over tokens."""
        own = weight.detach().double()
        return float((own @ self.xx * own).sum() - 2.0 * (own * self.yx).sum()) + self.yy


class Walk:
    """Both models at one layer, from the first to the last.

    Args:
        original: In evaluation mode; left as it was.
        student: The same model with units cut out or zeroed; its owner changes it on the way.
        batches: Real texts; targets are not looked at.
    """

    def __init__(
        self, original: PreTrainedModel, student: PreTrainedModel, batches: Sequence[Batch]
    ) -> None:
        self._teachers = encoder_of(original).layer
        self._students = encoder_of(student).layer
        self._calls = first_calls(original, batches)
        self._wanted = [call.hidden for call in self._calls]
        self.states = list(self._wanted)
        """The student's hidden states before the current layer, one tensor a batch."""
        self._targets: dict[Unit, list[torch.Tensor]] = {}
        self._entered: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.layer = 0
        self._look_at_teacher()

    def projection(self, unit: Unit) -> Any:
        """Returns the student's output projection; one without units has only a ``bias``."""
        return projection(self._students[self.layer], unit)

    def sums(self, unit: Unit, *, first_token: bool = False) -> Sums:
        """Runs the student's layer as it is now and sums up.

        Args:
            unit: Attention or FFN.
            first_token: Whether only each text's first token counts, all that a classifier reads.

        Raises:
            PassError: If an activation is not finite.
        """
        import torch

        dense = self.projection(unit)
        inputs, outputs = getattr(dense, "in_features", 0), dense.bias.shape[0]
        xx = torch.zeros(inputs, inputs, dtype=torch.float64)
        yx, yy = torch.zeros(outputs, inputs, dtype=torch.float64), 0.0
        student = self._students[self.layer]
        self._entered = []
        with torch.no_grad():
            for at, call in enumerate(self._calls):
                states = self.states[at]
                if unit == "ffn":
                    states = leave(student, "heads", *enter(student, "heads", states, call))
                given, residual = enter(student, unit, states, call)
                self._entered.append((given, residual))
                x = given if inputs else residual[..., :0]
                y = self._targets[unit][at] - residual - dense.bias
                x, y = (v[:, 0] if first_token else v[call.real] for v in (x, y))
                xx += (x.T @ x).double()
                yx += (y.T @ x).double()
                yy += float(y.double().square().sum())
        if not bool(torch.isfinite(xx).all() and torch.isfinite(yx).all()):
            raise PassError(f"activations of layer {self.layer} are not finite numbers")
        return Sums(xx, yx, yy)

    def advance(self) -> None:
        """Goes to the next layer; `sums` of the FFN was called last."""
        import torch

        student = self._students[self.layer]
        with torch.no_grad():
            self.states = [leave(student, "ffn", *one) for one in self._entered]
        self.layer += 1
        if self.layer < len(self._students):
            self._look_at_teacher()

    def _look_at_teacher(self) -> None:
        import torch

        teacher = self._teachers[self.layer]
        self._targets = {unit: [] for unit in UNITS}
        with torch.no_grad():
            for at, call in enumerate(self._calls):
                for unit in UNITS:
                    given, residual = enter(teacher, unit, self._wanted[at], call)
                    total = projection(teacher, unit)(given) + residual
                    self._targets[unit].append(total)
                    self._wanted[at] = normed(teacher, unit, total)
