"""The site builds strictly, asks nobody for anything, and no link of README or docs/ leads nowhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from documented import pages

from jetassay.places import project_root

LINK = re.compile(r"\]\(([^)\s]+)\)")
FETCHED = re.compile(
    r"<(?:script|img|iframe|source)[^>]* src=\"(https?:)?//|<link[^>]* href=\"(https?:)?//|url\((https?:)?//|@import"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site as `make docs` builds it."""
    output = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(output)]
    done = subprocess.run(command, cwd=project_root(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return output


def test_every_page_is_in_the_site_and_in_its_navigation(site):
    listed = re.findall(r"[\w/-]+\.md", (project_root() / "mkdocs.yml").read_text())
    written = [page.removeprefix("docs/") for page in pages() if page.startswith("docs/")]
    assert sorted(listed) == sorted(written)
    assert all((site / page).with_suffix(".html").is_file() for page in written)


def test_a_reader_of_the_site_asks_no_network(site):
    for path in [*site.rglob("*.html"), *site.rglob("*.css")]:
        assert not FETCHED.search(path.read_text()), path


def test_the_interface_has_the_functions_of_the_path(site):
    assert "run_suite" in (site / "api" / "index.html").read_text()
    for page in (site / "api").glob("*.html"):
        assert page.read_text().count("doc-heading") > 3, page


def _anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).strip().replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", pages())
def test_no_link_leads_nowhere(page):
    path = pages()[page]
    for link in LINK.findall(path.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), f"{page}: {link}"
        assert not anchor or anchor in _anchors(target), f"{page}: {link}"


def test_the_configuration_lets_nothing_pass():
    whole = yaml.safe_load((project_root() / "mkdocs.yml").read_text())
    assert set(whole["validation"]["links"].values()) | set(whole["validation"]["nav"].values()) == {"warn"}
    assert "mkdocs build --strict" in (project_root() / "Makefile").read_text()
