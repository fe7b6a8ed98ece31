"""People -> batch plan: which crops go through the network together."""

from dataclasses import dataclass, replace

# On a CPU the cost per crop is flat from about eight crops and rises again beyond sixteen, when the
# activations leave the cache. A graph compiled for one fixed batch is about a fifth faster than one for
# any batch, so a crowd is split into these few sizes. There is no padding, and every size is warmed up.
CPU_BATCHES = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """How a crowd is cut into batches.

    >>> [s.stop - s.start for s in BatchPlan().split(21)]
    [8, 8, 4, 1]
    >>> padding = BatchPlan((1, 2, 4, 8), pads=True)
    >>> [s.stop - s.start for s in padding.split(21)], padding.size_for(5)
    ([8, 8, 5], 8)

    Attributes:
        sizes: Batch sizes, ascending from 1.
        pads: Whether a batch between two sizes is padded to the larger one, since a GPU takes about as
            long for a few crops as for one. Otherwise all batches have one of the sizes.
    """

    sizes: tuple[int, ...] = CPU_BATCHES
    pads: bool = False

    def up_to(self, largest: int) -> "BatchPlan":
        """The same without larger batches; 0 allows all."""
        return replace(self, sizes=tuple(size for size in self.sizes if size <= (largest or size)))

    def split(self, people: int) -> list[slice]:
        """The rows 0..people of each batch."""
        plan, start = [], 0
        while start < people:
            rest = people - start
            size = next(size for size in reversed(self.sizes) if size <= rest)
            if self.pads:
                size = min(self.sizes[-1], rest)
            plan.append(slice(start, start + size))
            start += size
        return plan

    def size_for(self, count: int) -> int:
        """The smallest batch with room for `count` crops."""
        return next(size for size in self.sizes if size >= count)


def plan_of(estimator: object) -> BatchPlan:
    """The batch plan of a pose estimator. Estimators that others write may have none."""
    plan: BatchPlan = getattr(estimator, "plan", BatchPlan())
    return plan
