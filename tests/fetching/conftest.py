"""The local server as a fixture."""

import pytest
from fetching_server import IMPATIENT, Server

from jetassay.fetching.listing import Hosts


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def hosts(server):
    return Hosts(zenodo=server.url, huggingface=server.url)


@pytest.fixture
def patience():
    return IMPATIENT
