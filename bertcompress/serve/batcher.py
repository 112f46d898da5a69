"""Which of the waiting texts are run together next.

One item is one text (one window of a long one), never one request: a client's list is spread over
batches as it comes. Nothing waits on purpose; an engine that is free takes what is there:

1. a class, interactive eight times for each time of bulk, so that neither starves;
2. the key of that class whose turn it is, and that key's oldest item, which is always in the batch;
3. of the class's oldest items those whose length is nearest, as long as each one makes the batch
   cheaper for a text than it was.

What a batch costs is a function of its number of texts and its longest one, measured where
somebody did (`BatchCost`). The class has no clock, no thread and no task of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, Literal, TypeVar

from bertcompress.errors import RunError
from bertcompress.tasks.base import Feature

Priority = Literal["interactive", "bulk"]

_INTERACTIVE: Priority = "interactive"
_BULK: Priority = "bulk"
_TURNS = (*[_INTERACTIVE] * 8, _BULK)
_LOOKED_AT = 256
"""So many of the oldest items are candidates for a batch."""


@dataclass(frozen=True)
class BatchCost:
    """What running a batch costs: ``fixed + each * texts + token * texts * length`` seconds.

    The defaults are relative figures of a small encoder on a CPU: a batch costs as much as some
    tokens before its first one.

    Attributes:
        fixed: Of a batch.
        each: Of a text.
        token: Of a position, padding too.
    """

    fixed: float = 24.0
    each: float = 2.0
    token: float = 1.0

    def of(self, texts: int, length: int) -> float:
        """Returns the cost of so many texts, the longest of so many tokens."""
        return self.fixed + texts * (self.each + self.token * length)


@dataclass(frozen=True)
class QueueLimits:
    """How much may wait, and how large a batch may be.

    Attributes:
        items: Texts that wait.
        tokens: Tokens that wait.
        batch_size: Texts in a batch.
        token_budget: Positions in a batch, padding too; a longer text is a batch by itself.
    """

    items: int = 4096
    tokens: int = 1_000_000
    batch_size: int = 32
    token_budget: int = 16_384


@dataclass(eq=False)
class Item:
    """One text that waits.

    Attributes:
        feature: Its tokens.
        key: Whose it is: keys take turns.
        priority: Its class.
        deadline: The time after which nobody wants the answer, in the batcher's clock.
        arrived: When it came; set by `Batcher.add`.
        cancelled: Whether whoever asked has gone.
    """

    feature: Feature
    key: str = ""
    priority: Priority = "interactive"
    deadline: float = float("inf")
    arrived: float = 0.0
    cancelled: bool = False

    @property
    def length(self) -> int:
        """Its tokens."""
        return self.feature.length


AnItem = TypeVar("AnItem", bound=Item)


class QueueFullError(RunError):
    """Says that no more may wait."""


@dataclass
class _Waiting(Generic[AnItem]):
    """The items of one class: in the order they came, and apart by key."""

    items: OrderedDict[int, AnItem] = field(default_factory=OrderedDict)
    by_key: OrderedDict[str, OrderedDict[int, AnItem]] = field(default_factory=OrderedDict)

    def add(self, item: AnItem) -> None:
        self.items[id(item)] = item
        self.by_key.setdefault(item.key, OrderedDict())[id(item)] = item

    def remove(self, item: AnItem) -> None:
        del self.items[id(item)]
        of_key = self.by_key[item.key]
        del of_key[id(item)]
        if not of_key:
            del self.by_key[item.key]

    def oldest_of_next_key(self) -> AnItem:
        """Returns the oldest item of the key whose turn it is; the key goes to the end."""
        key = next(iter(self.by_key))
        self.by_key.move_to_end(key)
        return next(iter(self.by_key[key].values()))


class Batcher(Generic[AnItem]):
    """Holds what waits and says what is run next, see the module's docstring.

    Args:
        limits: How much may wait, and how large a batch may be.
        cost: What a batch costs.
        clock: Gives the time, seconds.
    """

    def __init__(
        self, limits: QueueLimits, *, clock: Callable[[], float], cost: BatchCost | None = None
    ) -> None:
        self.limits = limits
        self.cost = cost or BatchCost()
        self._clock = clock
        self._classes: dict[Priority, _Waiting[AnItem]] = {
            "interactive": _Waiting(),
            "bulk": _Waiting(),
        }
        self._turn = 0
        self.tokens = 0

    def __len__(self) -> int:
        return sum(len(waiting.items) for waiting in self._classes.values())

    @property
    def oldest_seconds(self) -> float:
        """How long the oldest item has waited; 0 if none does."""
        firsts = [next(iter(one.items.values())) for one in self._classes.values() if one.items]
        return max((self._clock() - item.arrived for item in firsts), default=0.0)

    def add(self, items: Sequence[AnItem]) -> None:
        """Lets items wait: all of them, or none.

        Raises:
            QueueFullError: If more would wait than may.
        """
        tokens = sum(item.length for item in items)
        if len(self) + len(items) > self.limits.items:
            raise QueueFullError(f"{len(self):,} texts wait already")
        if self.tokens + tokens > self.limits.tokens and len(self):
            raise QueueFullError(f"{self.tokens:,} tokens wait already")
        now = self._clock()
        for item in items:
            item.arrived = now
            self._classes[item.priority].add(item)
        self.tokens += tokens

    def take(self) -> tuple[list[AnItem], list[AnItem]]:
        """Removes the next batch.

        Returns:
            The batch, empty if nothing waits; and the items that were dropped because their
            deadline has passed. Cancelled ones are dropped without a word.
        """
        late = self._drop_unwanted()
        waiting = self._next_class()
        if waiting is None:
            return [], late
        first = waiting.oldest_of_next_key()
        batch = [first, *self._company(first, waiting)]
        for item in batch:
            self._remove(item, waiting)
        return batch, late

    def cancel(self, item: AnItem) -> None:
        """Drops an item that nobody waits for; one that is being run is marked only."""
        item.cancelled = True
        waiting = self._classes[item.priority]
        if id(item) in waiting.items:
            self._remove(item, waiting)

    def _remove(self, item: AnItem, waiting: _Waiting[AnItem]) -> None:
        waiting.remove(item)
        self.tokens -= item.length

    def _drop_unwanted(self) -> list[AnItem]:
        now, late = self._clock(), list[AnItem]()
        for waiting in self._classes.values():
            for item in [
                one for one in islice(waiting.items.values(), _LOOKED_AT) if one.deadline < now
            ]:
                self._remove(item, waiting)
                late.append(item)
        return late

    def _next_class(self) -> _Waiting[AnItem] | None:
        for _ in _TURNS:
            waiting = self._classes[_TURNS[self._turn]]
            self._turn = (self._turn + 1) % len(_TURNS)
            if waiting.items:
                return waiting
        return None

    def _company(self, first: AnItem, waiting: _Waiting[AnItem]) -> list[AnItem]:
        """Returns who is run with an item: the nearest in length, while that is cheaper."""
        others = [item for item in islice(waiting.items.values(), _LOOKED_AT) if item is not first]
        others.sort(key=lambda item: abs(item.length - first.length))
        chosen, longest, limits = list[AnItem](), first.length, self.limits
        each = self.cost.of(1, longest)
        for item in others[: limits.batch_size - 1]:
            texts, length = len(chosen) + 2, max(longest, item.length)
            if texts * length > limits.token_budget:
                break
            apart = each * (texts - 1) + self.cost.of(1, item.length)
            together = self.cost.of(texts, length)
            if together >= apart:
                break
            chosen.append(item)
            longest, each = length, together / texts
        return chosen
