"""Counts with their nouns."""


def counted(count: int, noun: str, plural: str = "") -> str:
    """The count and its noun, in the plural where the count is not 1.

    plural: the noun's plural; the default is `noun` with an s.

    >>> counted(1, "annotation"), counted(2, "annotation"), counted(0, "class", "classes")
    ('1 annotation', '2 annotations', '0 classes')
    """
    return f"{count} {noun if count == 1 else plural or f'{noun}s'}"
