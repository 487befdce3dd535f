"""One Chromium for all tests of a file."""

import pytest
from devtools import CHROMIUM, INSTALL, Browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip(INSTALL)
    opened = Browser(CHROMIUM, tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()
