import pytest

from docs import generate

PAGES = generate.pages()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_page_is_what_make_docs_writes(path):
    assert path.read_text(encoding="utf-8") == PAGES[path], "run `make docs`"
