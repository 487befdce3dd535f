import pytest

from jetassay.embeddings.batching import Batching
from jetassay.errors import ConfigError


@pytest.mark.parametrize("name", ["entries_per_unit", "entries_per_pool", "token_budget"])
def test_sizes_below_one_are_refused_by_name(name):
    with pytest.raises(ConfigError, match=name):
        Batching(**{name: 0})
