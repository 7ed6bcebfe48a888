"""Counts with their nouns."""


def counted(count: int, noun: str) -> str:
    """The count and its noun, in the plural where the count is not 1. Nouns with an irregular plural are not known.

    >>> counted(1, "annotation"), counted(2, "annotation"), counted(0, "class"), counted(3, "epoch")
    ('1 annotation', '2 annotations', '0 classes', '3 epochs')
    """
    ending = "" if count == 1 else "es" if noun.endswith(("s", "x", "sh")) else "s"
    return f"{count} {noun}{ending}"
