"""The names of the splits, and the words for them in the names of folders and files."""

import re
from pathlib import PurePosixPath

SPLIT_WORDS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
_SPLIT_OF_WORD = {word: split for split, words in SPLIT_WORDS.items() for word in words}
_WORD = re.compile(r"[^\W\d_]+")


def split_named(path: str) -> str | None:
    """The split (train, val, test) that the last part of `path` with a word for a split means; None without one.

    >>> split_named("val/images/training_7.png")
    'train'
    >>> split_named("images/train_val/7.png") is None  # words of two splits name neither
    True
    """
    for part in reversed(PurePosixPath(path).parts):
        splits = {_SPLIT_OF_WORD[word] for word in _WORD.findall(part.lower()) if word in _SPLIT_OF_WORD}
        if splits:
            return splits.pop() if len(splits) == 1 else None
    return None
