"""The data report in a browser: its width, its images, its links and its errors."""

from dataclasses import replace

import pytest
from PIL import Image

from segpipe.data.split_table import Assignment
from segpipe.ledger.findings import Finding
from segpipe.report.data_report import html
from tests import browser
from tests.data.sources import dataset, instance, report

pytestmark = [pytest.mark.slow, pytest.mark.skipif(browser.CHROMIUM is None, reason=browser.WHY_NOT)]
# elements past the right edge of the window, or of a panel that does not scroll
OVERFLOWING = """[...document.querySelectorAll('main *')].filter(e => {
    const scrolls = e.closest('.panel') && e.closest('.panel').scrollWidth > e.closest('.panel').clientWidth
        && e.closest('table');
    return !scrolls && e.getBoundingClientRect().right > document.documentElement.clientWidth + 1;
}).map(e => e.outerHTML.slice(0, 120))"""
IMAGES = """Promise.all([...document.images].map(i => {
    i.loading = 'eager';
    return i.decode().then(() => i.naturalWidth, () => 0);
}))"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The page of a data set with a long list of cases, long names, a near-duplicate, overlaps and a split."""
    folder = tmp_path_factory.mktemp("report")
    source = dataset(folder)
    many = [instance(100 + i, "a", category="owl", place=f"{'deep/' * 30}a.json: shapes[{i}]") for i in range(30)]
    data = report(folder, replace(source, instances=(*source.instances, *many)))
    near = Finding(code="near_duplicate_photographs", kind="image", id="turned", image_key="turned", twin="a")
    data = replace(
        data,
        findings=(*data.findings, near),
        overlaps={("cat", "dog"): 16, ("cat", "ignored"): 1_234_567},
        placed=[
            Assignment(key="a", split="train", group="a"),
            Assignment(key="a copy", split="train", group="a"),
            Assignment(key="turned", split="", group="turned", reason="empty"),
        ],
    )
    path = folder / "page.html"
    path.write_text(html(data), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with browser.page(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.mark.parametrize("width", [1300, 400])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_the_window_and_has_no_errors(page, file, width, dark):
    page.open(file, width, dark)
    assert page.value("window.innerWidth") == width
    assert page.value("document.documentElement.scrollWidth") == width
    page.value("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.value("document.documentElement.scrollWidth") == width
    assert page.value(OVERFLOWING) == []
    assert page.errors == []


def test_every_thumbnail_is_an_image(page, file):
    page.open(file, 1300)
    widths = page.value(IMAGES)
    assert len(widths) > 10
    assert min(widths) > 0


def test_a_click_opens_details_and_shows_their_cases(page, file):
    page.open(file, 1300)
    closed = "[...document.querySelectorAll('details:not([open])')].length"
    shown = "[...document.querySelectorAll('details li')].filter(e => e.checkVisibility()).length"
    assert page.value(closed) == 1
    before = page.value(shown)
    page.value("document.querySelector('details:not([open]) summary').click()")
    assert page.value(closed) == 0
    assert page.value(shown) == before + 25  # 31 annotations of no selected class, six of them as examples


def test_links_have_targets(page, file):
    page.open(file, 1300)
    broken = "[...document.querySelectorAll('a')].filter(a => !document.querySelector(a.getAttribute('href'))).length"
    assert page.value("document.querySelectorAll('a').length") == 14  # ten reasons, four findings
    assert page.value(broken) == 0


@pytest.mark.parametrize(("dark", "paper"), [(False, (245, 246, 248)), (True, (15, 18, 24))])
def test_light_and_dark_colours(page, file, tmp_path, dark, paper):
    page.open(file, 1300, dark)
    page.screenshot(tmp_path / "page.png")
    shown = Image.open(tmp_path / "page.png").convert("RGB")
    colours = {colour for _, colour in shown.getcolors(shown.width * shown.height)}
    assert shown.getpixel((2, 2)) == paper
    assert (47, 111, 237) in colours  # the bar of kept records
    assert (217, 72, 15) in colours  # and of dropped records
    assert (255, 40, 130) in colours or any(r > 200 and g < 90 and 90 < b < 170 for r, g, b in colours)  # outlines


def test_a_wrong_page_fails_these_checks(page, file, tmp_path):
    wide = '<div style="width: 2000px">x</div><img src="data:image/jpeg;base64,AAAA"><script>undefined.x</script>'
    (tmp_path / "bad.html").write_text(file.read_text(encoding="utf-8").replace("</main>", f"{wide}</main>"))
    page.open(tmp_path / "bad.html", 400)
    assert page.value("document.documentElement.scrollWidth") > 400
    assert len(page.value(OVERFLOWING)) == 1
    assert min(page.value(IMAGES)) == 0
    assert any("TypeError" in error for error in page.errors)
