"""Class names that some tracker refuses, or that become equal when refused characters are removed."""

HARD = (
    *("a//b", "a/b", "/a/b", "a/b/", "a|b", "a:b", "a b", "a\nb", "A B", "ab", "a\0b", "a'`\"b"),
    *("..", ".", " ", "!!", "_", "车", "🚗", "人", "=1+1", "-", "nan"),
    *("x" * 300, "x" * 299 + "y", "X" * 300, "x" * 250, "x" * 200),
)
