"""People -> batch plan: which crops go through the network together."""

# On a CPU the cost per crop is flat from about eight crops and rises again beyond sixteen, when the
# activations leave the cache. A graph compiled for one fixed batch is about a fifth faster than one for
# any batch, so a crowd is split into these few sizes. There is no padding, and every size is warmed up.
CPU_BATCHES = (8, 4, 2, 1)


def plan_batches(people: int, sizes: tuple[int, ...] = CPU_BATCHES, pads: bool = False) -> list[slice]:
    """Split rows 0..people into slices whose lengths are in `sizes`, which descend to 1.

    >>> [s.stop - s.start for s in plan_batches(21)]
    [8, 8, 4, 1]

    Args:
        people: How many rows.
        sizes: Batch sizes, descending.
        pads: Whether the last batch will be padded. All others then have the largest size.
    """
    if pads:
        return [slice(i, min(i + sizes[0], people)) for i in range(0, people, sizes[0])]
    plan, start = [], 0
    for size in sizes:
        while people - start >= size:
            plan.append(slice(start, start + size))
            start += size
    return plan
