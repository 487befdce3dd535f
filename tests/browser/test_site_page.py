"""The documentation from a disk, in a headless Chromium: no network, nothing on the console, and search finds."""

import subprocess
import sys

import pytest

from jetassay.places import project_root

pytestmark = pytest.mark.browser
SEARCH = """new Promise(async done => {
    const box = document.querySelector('#__search'), query = document.querySelector('[data-md-component=search-query]');
    query.focus();
    box.checked = true;
    box.dispatchEvent(new Event('change'));
    query.value = 'clopper';
    const found = () => [...document.querySelectorAll('.md-search-result__link')].map(each => each.href);
    for (let turn = 0; turn < 100 && !found().length; turn++) {
        query.dispatchEvent(new Event('keyup', { bubbles: true }));
        query.dispatchEvent(new Event('input', { bubbles: true }));
        await new Promise(wait => setTimeout(wait, 100));
    }
    done(found());
})"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    output = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(output)]
    subprocess.run(command, cwd=project_root(), check=True, capture_output=True)
    return output


@pytest.mark.parametrize("page", ["index.html", "protocol.html", "api/metrics.html"])
@pytest.mark.parametrize("width", [400, 1280])
def test_a_page_fits_asks_no_network_and_complains_of_nothing(site, browser, page, width):
    browser.open(site / page, width=width)
    assert browser.js("document.documentElement.scrollWidth") <= width
    asked = [
        each["params"]["request"]["url"] for each in browser.events if each["method"] == "Network.requestWillBeSent"
    ]
    assert asked
    assert all(address.startswith(("file:", "data:")) for address in asked)
    assert browser.complaints() == []


def test_search_finds_without_a_server(site, browser):
    browser.open(site / "api" / "jets.html")
    found = browser.js(SEARCH)
    assert any("/protocol.html" in address for address in found)
    assert browser.complaints() == []
