"""The report page in a real browser: sorting, themes, taking tables away, and no word to the network."""

import csv
import io
import json

import numpy as np
import pandas as pd
import PIL.Image
import pytest
from matplotlib import pyplot as plt

from jetassay.report import page as module
from jetassay.report.content import CONTROLS, TRAINED, Content, Figure, Pointed, Section, Table
from jetassay.report.page import write_page
from jetassay.report.paper import csv_text, latex_rows
from jetassay.report.pointing import link
from jetassay.tasks.score import COLUMNS

pytestmark = pytest.mark.browser

CELLS = pd.DataFrame(
    {
        "rejection": ["12 +3-2", ">546", "9.5 (>4)", "-", "1,000 +9-8"],
        "AUC": ["0.995(1)", "0.9998(1)", "0.90(2)", "0.5", "0.8"],
        "rank": ["1-3", "1-2", "10", "4", "5"],
        "note": ["b_10%", "b_9%", 'a, "quoted"', "<c>", "&"],
    },
    index=["one", "two", "three", "floor", "control"],
)
GROUPS = {name: CONTROLS if name in ("floor", "control") else TRAINED for name in CELLS.index}
JETS = json.dumps({"4": ["Hbb, pT 500 GeV", "gIB4CXh4QAM="], "11": ["QCD, pT 600 GeV", "gIB4CQ=="]})
TABLE = "document.querySelector('.scroll > table')"


def line():
    figure, axes = plt.subplots(figsize=(3, 2))
    axes.plot([1, 2])
    return figure


def dots():
    figure, axes = plt.subplots(figsize=(6, 4))
    axes.scatter([0, 1], [0, 1], s=80, color="black").set_urls(link(pd.Series([4, 11])))
    return figure


def heat():
    figure, axes = plt.subplots(figsize=(3, 2))
    axes.imshow([[0, 1], [2, 3]], cmap="cividis")
    return figure


@pytest.fixture
def page(browser, tmp_path, monkeypatch):
    table = Table(CELLS, "backbone", title="Made up", groups=GROUPS)
    more = Table(CELLS, "row", title="More", folded=True)
    part = Section(
        "A section", (table, Figure("line", line), more, Figure("heat", heat), Figure("dots", dots), Pointed(JETS))
    )
    monkeypatch.setattr(module, "sections", lambda content: (part,))
    content = Content(
        frame=pd.DataFrame(columns=list(COLUMNS)), tables={}, counts=pd.DataFrame(), provenance={}, protocol=""
    )
    path = write_page(content, title="A page", folder=tmp_path).path
    browser.open(path)
    return path


def click(browser, column):
    browser.js(f"{TABLE}.tHead.rows[0].cells[{column}].firstChild.click()")


def names(browser):
    rows = browser.js(f"[...{TABLE}.tBodies].map(b => [...b.rows].slice(1).map(r => r.cells[0].textContent))")
    return [name for group in rows for name in group]


@pytest.mark.parametrize(
    ("column", "orders"),
    [
        (1, ["two one three control floor", "three one two control floor"]),
        (2, ["two one three control floor", "three one two floor control"]),
        (3, ["three one two control floor", "two one three floor control"]),
        (4, ["three two one control floor", "one two three floor control"]),
    ],
)
def test_a_click_sorts_by_value_within_each_group_and_a_third_one_restores(browser, page, column, orders):
    written = names(browser)
    for order in orders:
        click(browser, column)
        assert names(browser) == order.split()
    click(browser, column)
    assert names(browser) == written
    assert browser.complaints() == []


def test_the_keyboard_sorts_and_a_reader_is_told(browser, page):
    browser.js(f"{TABLE}.tHead.rows[0].cells[2].firstChild.focus()")
    browser.press("Enter", 13)
    assert browser.js(f"{TABLE}.tHead.rows[0].cells[2].getAttribute('aria-sort')") == "descending"
    assert browser.js("document.querySelectorAll('[aria-sort]').length") == 1
    click(browser, 0)
    assert browser.js("[...document.querySelectorAll('[aria-sort]')].map(h => h.textContent).join()") == "backbone"


def test_a_chosen_theme_colours_the_page_and_outlives_it(browser, page):
    for theme, light in (("dark", False), ("light", True)):
        browser.js(
            f"s = document.querySelector('.theme select'), s.value = '{theme}', s.dispatchEvent(new Event('change'))"
        )
        colour = "getComputedStyle(document.querySelector('td')).backgroundColor"
        assert (browser.js(colour) == "rgb(255, 255, 255)") is light
        for _ in range(20):  # what a page stores reaches the process of the next one in Chromium's own time
            browser.open(page)
            kept = browser.js("document.querySelector('.theme select').value")
            if kept == theme:
                break
        assert kept == theme
        assert (browser.js(colour) == "rgb(255, 255, 255)") is light
    assert browser.js("document.cookie") == ""


def pixels(browser, image):
    """RGB of the screen at the corner of an image, and the darkest and the lightest in it."""
    place = browser.js(
        f"(i => {{ i.scrollIntoView({{behavior: 'instant', block: 'center'}}); const r = i.getBoundingClientRect();"
        f" return [r.left, r.top, r.width, r.height] }})({image})"
    )
    left, top, width, height = (round(each) for each in place)
    with PIL.Image.open(io.BytesIO(browser.screenshot())) as seen:
        part = np.asarray(seen.convert("RGB"))[top + 8 : top + height - 8, left + 8 : left + width - 8].astype(int)
    return part[0, 0], part.min(axis=(0, 1)), part.max(axis=(0, 1)), {tuple(each) for each in part.reshape(-1, 3)}


def test_in_the_dark_a_figure_has_a_dark_ground_light_ink_and_its_colours_and_a_colour_scale_keeps_its_way(
    browser, page
):
    browser.js("setTheme('dark'), document.querySelectorAll('img').length")
    ground, _, lightest, colours = pixels(browser, "document.querySelector('figure img')")
    assert ground.max() < 30
    assert lightest.min() > 200  # of ticks and numbers
    blue = min(abs(np.array(each) - (58, 146, 228)).max() for each in colours)  # matplotlib's first, #1f77b4
    assert blue < 40
    ground, *_ = pixels(browser, "document.querySelector('img.scale')")
    assert ground.min() > 200
    browser.js("setTheme('light')")
    ground, darkest, _, _ = pixels(browser, "document.querySelector('figure img')")
    assert ground.min() == 255
    assert darkest.max() < 50


def test_a_table_comes_away_as_csv_with_its_groups(browser, page):
    rows = list(csv.reader(io.StringIO(browser.js(f"csv({TABLE})"))))
    assert rows[0] == ["backbone", *CELLS.columns, "group"]
    assert rows[1:] == [[name, *CELLS.loc[name], GROUPS[name]] for name in CELLS.index]
    download = "[...document.querySelectorAll('.tools button')].find(b => b.textContent == 'CSV')"
    assert "a-section-made-up.csv" in browser.js(f"{download}.title")
    browser.js(f"{download}.click()")
    assert browser.complaints() == []


def test_the_page_and_the_paper_have_the_same_rows(browser, page):
    table = Table(CELLS, "backbone", groups=GROUPS)
    assert browser.js(f"latex({TABLE})") == latex_rows(table)
    assert browser.js(f"csv({TABLE})") == csv_text(table)


def test_a_table_comes_away_as_latex_rows(browser, page):
    lines = browser.js(f"latex({TABLE})").splitlines()
    assert lines[1:3] == [r"\midrule", r"\multicolumn{5}{l}{\emph{trained backbones}} \\"]
    assert lines[3] == r"one & $12^{+3}_{-2}$ & 0.995(1) & 1-3 & b\_10\% \\"
    assert lines[4] == r"two & $>$546 & 0.9998(1) & 1-2 & b\_9\% \\"
    assert lines[7] == r"floor & -- & 0.5 & 4 & $<$c$>$ \\"
    browser.js("[...document.querySelectorAll('.tools button')].find(b => b.textContent == 'LaTeX').focus()")
    browser.press("Enter", 13)
    browser.js("new Promise(done => setTimeout(done, 300))")
    assert browser.js("document.querySelector('[role=status]').textContent") == "copied"
    browser.call("Browser.grantPermissions", permissions=["clipboardReadWrite"])
    assert browser.js("navigator.clipboard.readText()").splitlines() == lines


def point_at(browser, jet, *, off=0):
    """The pointer over the point of a jet, or `off` pixels to its right."""
    browser.js("document.querySelector('img[data-points]').scrollIntoView({behavior: 'instant', block: 'center'})")
    place = browser.js(
        "(() => { const i = document.querySelector('img[data-points]'), n = i.dataset.points.split(' ').map(Number);"
        f"const k = n.findIndex((v, at) => at % 3 == 2 && v == {jet}), x = n[k - 2] / 10000, y = n[k - 1] / 10000;"
        "i.parentNode.scrollLeft = x * i.clientWidth - 150; const r = i.getBoundingClientRect();"
        "return [r.left + x * r.width, r.top + y * r.height] })()"
    )
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=place[0] + off, y=place[1])
    browser.js("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


@pytest.mark.parametrize("width", [1280, 400])
def test_the_pointer_shows_the_jet_under_it_and_nothing_beside_it(browser, page, width):
    browser.open(page, width=width)
    box = "document.querySelector('.jet')"
    pictures = set()
    for jet, words in ((4, "Hbb, pT 500 GeV"), (11, "QCD, pT 600 GeV")):
        point_at(browser, jet)
        assert browser.js(f"{box}.hidden") is False
        assert browser.js(f"{box}.lastChild.textContent") == words
        edges = browser.js(f"(r => [r.left, r.right, innerWidth])({box}.getBoundingClientRect())")
        assert 0 <= edges[0] < edges[1] <= edges[2]
        pictures.add(browser.js(f"{box}.firstChild.toDataURL()"))
    assert len(pictures) == 2
    point_at(browser, 4, off=60)
    assert browser.js(f"{box}.hidden") is True
    assert browser.js("document.documentElement.scrollWidth <= innerWidth")
    assert browser.complaints() == []


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_fits_and_neither_complains_nor_asks_the_network(browser, page, width):
    browser.open(page, width=width)
    assert browser.js("document.documentElement.scrollWidth <= innerWidth")
    assert browser.js("document.querySelector('img').naturalWidth > 0")
    assert browser.complaints() == []
    assert browser.requests() == [page.as_uri()]


def test_nothing_but_its_own_script_runs_and_nothing_can_be_fetched(browser, page):
    injected = "s = document.createElement('script'), s.textContent = 'window.ran = 1', document.body.append(s)"
    assert browser.js(f"{injected}, window.ran ?? 'blocked'") == "blocked"
    assert browser.js("fetch('http://127.0.0.1:9/').then(() => 'went', () => 'blocked')") == "blocked"
    assert any("Content Security Policy" in str(each) for each in browser.complaints())
