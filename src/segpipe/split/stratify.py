"""Stratification of groups: every side gets its share of every class, by images and by pixels.

Written by hand because scikit-learn's StratifiedGroupKFold and the package iterative-stratification support neither
fixed sides (pins) nor shares by pixels.
"""

from collections.abc import Iterator, Sequence

import numpy as np

_MAX_ROUNDS = 20  # through all groups, as long as a move helps; usually a handful is enough
_MIN_GAIN = 1e-9  # a difference that is not rounding


def deal(images: np.ndarray, pixels: np.ndarray, shares: Sequence[float], fixed: np.ndarray) -> np.ndarray:
    """The side of each group, int (G,): a position in `shares`.

    images: int (G, 1 + C), the number of images of each group, then of those that show each class; pixels: int (G, C),
    pixels of each class; shares: the share of each side, with sum 1; fixed: int (G,), the side of groups that have one,
    -1 for the others. The order of the groups decides ties. If there are enough groups, no side with a share is empty.

    Iterative stratification (Sechidis et al., On the Stratification of Multi-label Data, ECML PKDD 2011) of groups
    instead of examples: the class with the fewest remaining groups comes first, in it the largest group, and this group
    goes to the side that needs its content most. If a class has no more remaining groups than sides without it, those
    sides come first. Then single groups are moved as long as a move brings the sides closer to their shares.

    >>> images = np.array([[1, 1], [1, 0], [1, 1], [1, 0]])  # four groups of one image, two of them show class 0
    >>> deal(images, 10 * images[:, 1:], (0.5, 0.5), np.full(4, -1)).tolist()
    [0, 0, 1, 1]
    """
    table = _Table(images, pixels, shares, fixed)
    for group in table.rarest_first():
        table.put(group)
    for _ in range(_MAX_ROUNDS):
        if not sum([table.move(group) for group in np.flatnonzero(fixed < 0).tolist()]):
            break
    return table.sides


class _Table:
    """The groups on each side, and how much of each class the sides have."""

    def __init__(self, images: np.ndarray, pixels: np.ndarray, shares: Sequence[float], fixed: np.ndarray) -> None:
        self.sides = fixed.copy()
        self._shares = np.array(shares, float)
        self._open = self._shares > 0
        self._divisor = np.where(self._open, self._shares, 1.0)
        self._shows = np.roll(images > 0, -1, axis=1)  # (G, C + 1); the last "class" is any image
        counts = np.concatenate([images[:, 1:], pixels, images[:, :1]], axis=1).astype(float)
        self._parts = counts / np.maximum(counts.sum(axis=0), 1)  # (G, 2 C + 1), shares of the totals
        classes = images.shape[1] - 1
        self._weights = np.array([1.0] * 2 * classes + [2.0 * max(1, classes)])  # images weigh as much as all classes
        on_side = [fixed == side for side in range(len(self._shares))]
        self._filled = np.stack([self._parts[on].sum(axis=0) for on in on_side])  # (S, 2 C + 1)
        self._groups_with = np.stack([self._shows[on].sum(axis=0) for on in on_side])  # (S, C + 1)
        self._remaining = self._shows[fixed < 0].sum(axis=0)  # (C + 1,)

    def rarest_first(self) -> Iterator[int]:
        """The groups without a side, in the order to put them on one."""
        classes = self._shows.shape[1] - 1
        while (self._remaining > 0).any():
            rarest = int(np.where(self._remaining > 0, self._remaining, np.iinfo(np.int64).max).argmin())
            yield from self._waiting(self._shows[:, rarest], classes + rarest)
        yield from self._waiting(np.ones(len(self.sides), bool), -1)

    def _waiting(self, among: np.ndarray, by: int) -> Iterator[int]:
        waiting = np.flatnonzero(among & (self.sides < 0))
        yield from waiting[np.argsort(-self._parts[waiting, by], kind="stable")].tolist()

    def put(self, group: int) -> None:
        """Put a group without a side on the side that needs it most."""
        shown = self._shows[group]
        lacking = self._open[:, None] & (self._groups_with[:, shown] == 0)  # (S, classes shown)
        urgent = lacking & (self._remaining[shown] <= lacking.sum(axis=0))
        self._remaining -= shown
        self._place(group, self._best(urgent.sum(axis=1), self._cost(group)))

    def move(self, group: int) -> bool:
        """Move a group to a better side, if there is one."""
        old = int(self.sides[group])
        self._add(group, old, -1)
        lacking = (self._open[:, None] & (self._groups_with[:, self._shows[group]] == 0)).sum(axis=1)
        cost = self._cost(group)
        new = self._best(lacking, np.where(np.arange(len(cost)) == old, cost - _MIN_GAIN, cost))
        self._place(group, new)
        return new != old

    def _cost(self, group: int) -> np.ndarray:
        """The cost of the group on each side, float (S,): the rise of squared deviations divided by its share."""
        part = self._parts[group]
        change = part * (2 * (self._filled - self._shares[:, None]) + part)
        return np.asarray((change * self._weights).sum(axis=1) / self._divisor)

    def _best(self, need: np.ndarray, cost: np.ndarray) -> int:
        """The cheapest of the sides that need the group most; the first of equal ones."""
        allowed = self._open & (need == need[self._open].max())
        return int(np.where(allowed, np.round(cost, 12), np.inf).argmin())

    def _place(self, group: int, side: int) -> None:
        self.sides[group] = side
        self._add(group, side, 1)

    def _add(self, group: int, side: int, sign: int) -> None:
        self._filled[side] += sign * self._parts[group]
        self._groups_with[side] += sign * self._shows[group]
