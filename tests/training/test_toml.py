import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jetassay.training.toml import to_toml

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PLAIN = st.one_of(st.booleans(), st.integers(-(2**62), 2**62), st.floats(allow_nan=False, allow_infinity=False), TEXT)
VALUES = st.recursive(
    st.one_of(PLAIN, st.lists(PLAIN, max_size=3), st.lists(st.lists(PLAIN, max_size=2), max_size=2)),
    lambda inner: st.one_of(
        st.dictionaries(TEXT, inner, max_size=3), st.lists(st.dictionaries(TEXT, inner, max_size=2), max_size=2)
    ),
    max_leaves=8,
)


@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_what_is_written_is_what_is_read(table):
    assert tomllib.loads(to_toml(table)) == table


def test_none_is_left_out():
    assert to_toml({"a": None, "b": 1}) == "b = 1\n"


def test_a_value_without_a_form_in_toml_is_an_error():
    with pytest.raises(TypeError, match="object"):
        to_toml({"a": object()})
