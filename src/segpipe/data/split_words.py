"""The names of the splits, and the words by which folders and files name them."""

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
    """The split (train, val, test) that the last folder or file name in `path` with such a word in it names.

    A name with words for two splits ("train_val") names none.
    """
    for part in reversed(PurePosixPath(path).parts):
        splits = {_SPLIT_OF_WORD[word] for word in _WORD.findall(part.lower()) if word in _SPLIT_OF_WORD}
        if splits:
            return splits.pop() if len(splits) == 1 else None
    return None
