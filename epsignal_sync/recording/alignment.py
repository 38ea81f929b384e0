"""Two lists laid side by side: which entry of one is which of the other. Pure; knows nothing of calls and messages."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence

MOST_COMPARED = 40_000
"""Pairs of entries that are compared one by one; where there are more, each entry takes the next equal one."""
FARTHEST = 200
"""Entries that may be passed over for the next equal one: one that is far away would leave out everything in between."""

Pairs = Iterator[tuple[int | None, int | None]]


def align(a: Sequence[Hashable], b: Sequence[Hashable]) -> Pairs:
    """Yield the indexes of entries that belong together, in order; None on the side where there is none.

    Of short lists, as many belong together as can; of long ones about as many, in a time that grows with their lengths alone.
    """
    start, end_a, end_b = 0, len(a), len(b)
    while start < min(end_a, end_b) and a[start] == b[start]:
        start += 1
    while min(end_a, end_b) > start and a[end_a - 1] == b[end_b - 1]:
        end_a, end_b = end_a - 1, end_b - 1
    inner_a, inner_b = a[start:end_a], b[start:end_b]
    way = _longest if len(inner_a) * len(inner_b) <= MOST_COMPARED else _next_equal
    yield from ((index, index) for index in range(start))
    at_a, at_b = start, start
    for index_a, index_b in [*way(inner_a, inner_b), (len(inner_a), len(inner_b))]:
        yield from ((index, None) for index in range(at_a, start + index_a))
        yield from ((None, index) for index in range(at_b, start + index_b))
        at_a, at_b = start + index_a + 1, start + index_b + 1
        if index_a < len(inner_a):
            yield start + index_a, start + index_b
    yield from zip(range(end_a, len(a)), range(end_b, len(b)), strict=True)


def _longest(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return the pairs of a longest common subsequence."""
    left = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(len(a) - 1, -1, -1):
        row, below = left[i], left[i + 1]
        for j in range(len(b) - 1, -1, -1):
            row[j] = below[j + 1] + 1 if a[i] == b[j] else max(below[j], row[j + 1])
    pairs, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        if a[i] == b[j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif left[i + 1][j] >= left[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs


def _next_equal(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return pairs of equal entries, each the next one on."""
    places: defaultdict[Hashable, list[int]] = defaultdict(list)
    for index, entry in enumerate(b):
        places[entry].append(index)
    pairs, at = [], 0
    for index, entry in enumerate(a):
        found = places.get(entry, [])
        place = bisect_left(found, at)
        if place < len(found) and found[place] - at <= FARTHEST:
            pairs.append((index, found[place]))
            at = found[place] + 1
    return pairs
