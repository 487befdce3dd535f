"""Whatever is written as a formula or as a configuration: it is read, or refused with an error of our own."""

from pathlib import Path

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from jetassay.errors import ConfigError, JetAssayError
from jetassay.features.expressions.evaluation import Level
from jetassay.features.expressions.functions import CONSTANTS, FUNCTIONS
from jetassay.features.expressions.parsing import parse_expression
from jetassay.features.expressions.quantity import formula_quantity, trial_column
from jetassay.features.inputs import QuantityValues
from jetassay.features.weaver.reading import parse_weaver_config

COLUMNS = {"part_px": Level.CONSTITUENT, "part_charge": Level.CONSTITUENT, "jet_pt": Level.JET}
TOKENS = [
    *COLUMNS, *CONSTANTS, *FUNCTIONS, "np", "ak", "os", "__import__", "None", "True", "lambda", "if", "else", "for",
    "0", "1", "-1", "2.5", "1e308", "9999999999", "0x", "1j", "(", ")", "[", "]", "{", "}", ",", ".", ":", "=", "'",
    "axis=1", "+", "-", "*", "/", "**", "//", "%", "&", "|", "^", "~", "<", "==", "@", ":=", " ", "\n", "\\", "é",
]  # fmt: skip
LIMITS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def formulas():
    """Texts with the grammar of formulas, whether they make sense or not."""
    leaves = st.sampled_from([*COLUMNS, *CONSTANTS, "0", "1", "2.5", "True", "None", "1e308", "9223372036854775807"])

    def grown(inner):
        operators = st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "&", "|", "^", "<", "<=", "==", "!=", ">"])
        calls = st.sampled_from([*FUNCTIONS, "np.load", "part_px"])
        return st.one_of(
            st.builds("({} {} {})".format, inner, operators, inner),
            st.builds("({}{})".format, st.sampled_from(["-", "+", "~"]), inner),
            st.builds("{}({})".format, calls, inner),
            st.builds("{}({}, {})".format, calls, inner, inner),
            st.builds("{}({}, {}, {})".format, calls, inner, inner, inner),
            st.builds("{}({}, axis=1)".format, calls, inner),
        )

    return st.recursive(leaves, grown, max_leaves=8)


def quantity_or_refusal(text, levels):
    """The quantity and what it gives in a trial, or what is said against it."""
    try:
        formula = parse_expression(text)
        return formula_quantity("it", formula, {name: trial_column(levels(name)) for name in formula.names})
    except ConfigError as error:
        return str(error)


@LIMITS
@given(text=formulas())
def test_a_formula_is_evaluated_or_refused(text, make_jets):
    found = quantity_or_refusal(text, COLUMNS.__getitem__)
    if isinstance(found, str):
        assert "line 1, column" in found
        return
    quantity, trial = found
    assert set(quantity.of) <= set(COLUMNS)
    try:
        values = QuantityValues(make_jets([3, 1, 6]), {"it": quantity})["it"]
    except ConfigError:
        assume(False)  # numbers that are no flags, or whole numbers with negative exponents: known from the values only
    assert values.shape == ((10,) if trial.level is Level.CONSTITUENT else (3,))
    assert values.dtype.kind in "biuf"


@LIMITS
@given(text=st.one_of(st.text(max_size=60), st.lists(st.sampled_from(TOKENS), max_size=25).map("".join)))
def test_any_text_is_a_formula_or_refused(text):
    found = quantity_or_refusal(text, lambda _: Level.CONSTITUENT)
    assert not isinstance(found, str) or "line 1, column" in found


CONFIGURATION = """\
selection: (jet_pt > 200) & (jet_eta < 2)
new_variables:
   part_mask: ak.ones_like(part_energy)
   part_pt: np.hypot(part_px, part_py)
   label_all: ((jet_label >= 0) & (jet_label < 9))
preprocess:
  method: manual
  params:
inputs:
   pf_features:
      length: 128
      pad_mode: wrap
      vars:
         - [part_pt, 1.7, 0.7, -5, 5, 0]
         - [part_deta, null]
         - part_charge
   pf_vectors:
      length: 128
      pad_mode: wrap
      vars: [[part_px, null], [part_py, null], [part_pz, null], [part_energy, null]]
   pf_mask: {length: 128, pad_mode: constant, vars: [[part_mask, null]]}
labels:
   type: simple
   value: [label_QCD, label_Hbb]
observers: [jet_pt]
weights:
   use_precomputed_weights: false
   reweight_method: flat
   reweight_vars: {jet_pt: [200, 300.5], jet_sdmass: [20, 30, 40]}
   reweight_classes: [label_all]
"""
PIECES = [
    "null", "[]", "{}", "1", "-1", "0", ".nan", ".inf", "1e5", "yes", "auto", "&a", "*a", "<<", "!x", "part_pt",
    "jet_pt", "!!python/name:os.system", "label_QCD", "np.log(", "'", '"', "|", ">", ":", "-", ",", "[", "]", "{", "}",
    "\n", "\n   ", "\t", "#", "---", "...", "%", "@", "?", "2020-01-01", "length", "vars", "params", "unknown", "\x00",
    "é", "\u2028", "1" * 400,
]  # fmt: skip


@settings(LIMITS, max_examples=250)
@given(data=st.data())
def test_a_damaged_configuration_is_read_or_refused(data):
    text = CONFIGURATION
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        stop = min(len(text), start + data.draw(st.sampled_from([0, 0, 1, 3, 8, 40])))
        text = text[:start] + data.draw(st.sampled_from(PIECES)) + text[stop:]
    read_or_refused(text)


@LIMITS
@given(
    text=st.one_of(st.text(max_size=200), st.lists(st.sampled_from([*PIECES, "inputs", "labels", " "])).map("".join))
)
def test_any_text_is_a_configuration_or_refused(text):
    read_or_refused(text)


def read_or_refused(text):
    try:
        config = parse_weaver_config(text, path=Path("some.yaml"))
    except JetAssayError as error:
        told = str(error)
    else:
        told = str(config.path)
        assert not any(name.startswith("label_") for name in config.feature_set.needs)
    assert "some.yaml" in told


def test_the_undamaged_configuration_is_read():
    config = parse_weaver_config(CONFIGURATION, path=Path("some.yaml"))
    assert config.feature_set.width == 3
