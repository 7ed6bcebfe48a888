"""Groups of images dealt out so that every side gets its share of every class, by images and by pixels."""

from collections.abc import Iterator, Sequence

import numpy as np

_ROUNDS = 20  # through all groups, as long as moving one helps; a handful is the rule
_GAIN = 1e-9  # what counts as better: far above rounding


def deal(images: np.ndarray, pixels: np.ndarray, shares: Sequence[float], fixed: np.ndarray) -> np.ndarray:
    """The side of each group, int (G,): a position in `shares`, which say what each side should get, together 1.

    images: int (G, 1 + C), each group's images, and how many of them show each class; pixels: int (G, C), its pixels of
    each class; fixed: int (G,), the side of groups that have one, -1 for the others. The groups' order settles ties.
    No side with a share is left empty, if there are groups enough.

    Iterative stratification (Sechidis et al., On the Stratification of Multi-label Data, ECML PKDD 2011) of groups, not
    examples: the class with the fewest groups left is dealt out first, its largest group first, each to the side that
    lacks most of what it has; where no more groups of a class are left than sides without it, those sides come first.
    Then single groups are moved as long as that brings the whole closer to what is wanted.
    """
    table = _Table(images, pixels, shares, fixed)
    for group in table.rarest_first():
        table.put(group)
    for _ in range(_ROUNDS):
        if not sum([table.move(group) for group in np.flatnonzero(fixed < 0).tolist()]):
            break
    return table.sides


class _Table:
    """Groups on their sides, and how full these are."""

    def __init__(self, images: np.ndarray, pixels: np.ndarray, shares: Sequence[float], fixed: np.ndarray) -> None:
        self.sides = fixed.copy()
        self._shares = np.array(shares, float)
        self._open = self._shares > 0
        self._divisor = np.where(self._open, self._shares, 1.0)
        self._shows = np.roll(images > 0, -1, axis=1)  # (G, C + 1), an image as such is the last "class"
        counts = np.concatenate([images[:, 1:], pixels, images[:, :1]], axis=1).astype(float)
        self._parts = counts / np.maximum(
            counts.sum(axis=0), 1
        )  # (G, 2 C + 1): of all there is of a thing, what it has
        classes = images.shape[1] - 1
        self._weights = np.array([1.0] * 2 * classes + [2.0 * max(1, classes)])  # the count of images weighs as much
        settled = [fixed == side for side in range(len(self._shares))]
        self._full = np.stack([self._parts[on].sum(axis=0) for on in settled])  # (S, 2 C + 1)
        self._groups_with = np.stack([self._shows[on].sum(axis=0) for on in settled])  # (S, C + 1)
        self._left = self._shows[fixed < 0].sum(axis=0)  # (C + 1,)

    def rarest_first(self) -> Iterator[int]:
        """The groups without a side, in the order they should be put in."""
        classes = self._shows.shape[1] - 1
        while (self._left > 0).any():
            rarest = int(np.where(self._left > 0, self._left, np.iinfo(np.int64).max).argmin())
            yield from self._waiting(self._shows[:, rarest], classes + rarest)
        yield from self._waiting(np.ones(len(self.sides), bool), -1)

    def _waiting(self, among: np.ndarray, by: int) -> Iterator[int]:
        waiting = np.flatnonzero(among & (self.sides < 0))
        yield from waiting[np.argsort(-self._parts[waiting, by], kind="stable")].tolist()

    def put(self, group: int) -> None:
        """Give a group its first side."""
        shown = self._shows[group]
        lacking = self._open[:, None] & (self._groups_with[:, shown] == 0)  # (S, classes shown)
        urgent = lacking & (self._left[shown] <= lacking.sum(axis=0))
        self._left -= shown
        self._settle(group, self._best(urgent.sum(axis=1), self._worse(group)))

    def move(self, group: int) -> bool:
        """Give a group a better side, if there is one."""
        old = int(self.sides[group])
        self._take(group, old, -1)
        lacking = (self._open[:, None] & (self._groups_with[:, self._shows[group]] == 0)).sum(axis=1)
        worse = self._worse(group)
        new = self._best(lacking, np.where(np.arange(len(worse)) == old, worse - _GAIN, worse))
        self._settle(group, new)
        return new != old

    def _worse(self, group: int) -> np.ndarray:
        """How much farther from what is wanted each side is with the group: squares of what is off, by its share."""
        part = self._parts[group]
        change = part * (2 * (self._full - self._shares[:, None]) + part)
        return np.asarray((change * self._weights).sum(axis=1) / self._divisor)

    def _best(self, needing: np.ndarray, worse: np.ndarray) -> int:
        """Of the sides that need the group most, the first where it does least harm."""
        allowed = self._open & (needing == needing[self._open].max())
        return int(np.where(allowed, np.round(worse, 12), np.inf).argmin())

    def _settle(self, group: int, side: int) -> None:
        self.sides[group] = side
        self._take(group, side, 1)

    def _take(self, group: int, side: int, sign: int) -> None:
        self._full[side] += sign * self._parts[group]
        self._groups_with[side] += sign * self._shows[group]
