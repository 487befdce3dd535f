"""What is refused in weaver data configurations, with file, line and column."""

from pathlib import Path

import pytest

from jetassay.errors import ConfigError, LeakageError
from jetassay.features.weaver.reading import parse_weaver_config, read_weaver_config
from jetassay.features.weaver.yaml_tree import LARGEST

LABELS = "labels: {type: simple, value: [label_QCD, label_Hbb]}\n"
PLAIN = "inputs: {pf_features: {length: 128, vars: [part_deta]}}\n"


def read(text):
    return parse_weaver_config(text, path=Path("some.yaml"))


def with_features(variables, *, top="", group="length: 128"):
    return read(f"{top}\ninputs:\n  pf_features:\n    {group}\n    vars: {variables}\n{LABELS}")


TRUTH = [
    ("[label_QCD]", "", "line 5, column 12.*'label_QCD' is truth"),
    ("[part_deta, genpart_pt]", "", "line 5, column 23.*'genpart_pt' is truth"),
    ("[x]", "new_variables: {x: part_px * y, y: np.log(1 + label_Hbb)}", "input 'x': 'label_Hbb' is truth"),
    ("[x]", "new_variables: {x: ak.ones_like(jet_label) * part_px}", "'jet_label' is truth"),
    ("[x]", "new_variables: {x: part_px * entry_number}", "no schema lists 'entry_number'"),
    ("[aux_training_]", "", "'aux_training_' is truth"),
    ("[my_px]", "branch_magic: {my_px: label_QCD}", "'label_QCD' is truth"),
    (
        "[x]",
        "new_variables: {x: part_px * sample}\nfile_magic: {sample: {QCD: 0, Hbb: 1}}",
        "'sample' is set by the names of files",
    ),
    (
        "[x]",
        "new_variables: {x: part_px * jet_pt}\nfile_magic: {jet_pt: {QCD: 0}}",
        "'jet_pt' is set by the names of files",
    ),
]


@pytest.mark.parametrize(("variables", "top", "message"), TRUTH)
def test_an_input_that_reaches_truth_is_refused(variables, top, message):
    with pytest.raises(LeakageError, match=message):
        with_features(variables, top=top)


WRONG = [
    ("inputz: {}\n" + PLAIN + LABELS, r"line 1, column 1: unknown key 'inputz' in .*; did you mean 'inputs'"),
    (PLAIN, "lacks the key 'labels'"),
    (LABELS, "lacks the key 'inputs'"),
    ("inputs:\n" + LABELS, "inputs is empty"),
    (PLAIN + "labels:\n", "labels lacks the key 'type'"),
    (PLAIN + "labels: {type: simpel, value: [a]}", "simple or custom, not 'simpel'"),
    (PLAIN + "labels: {type: simple, value: [a, a]}", "line 2, column 35: 'a' stands twice"),
    (PLAIN + "labels: {type: simple, value: []}", "lists no label"),
    (PLAIN + "labels: {type: custom, value: {truth: 'label.argmax(1)'}}", "line 2, column 40: .*truth: not a function"),
    (PLAIN + LABELS + "observers: jet_pt", "observers must be a list"),
    (PLAIN + LABELS + "observers: [a]\nmonitor_variables: [b]", "exclude each other"),
    (PLAIN + LABELS + "preprocess: {method: magic}", "manual or auto, not 'magic'"),
    (PLAIN + LABELS + "preprocess: {methud: auto}", "did you mean 'method'"),
    (PLAIN + LABELS + "preprocess: {method: auto, params: {a: {}}}", "preprocess.params has no entry for 'part_deta'"),
    (PLAIN + LABELS + "preprocess: {params: {part_deta: {length: 128}}}", "part_deta lacks the key 'pad_mode'"),
    (PLAIN + LABELS + "selection: part_px > 1", "to each jet, not to each constituent"),
    (PLAIN + LABELS + "selection: 1 < 2", "to each jet, not to each constituent or to all"),
    (PLAIN + LABELS + "selection: true", "selection must be a formula"),
    (PLAIN + LABELS + "selection: (jet_pt > 1) &\n   (jet_pt[0] > 2)", r"line 4, column 11: .*the character '\['"),
    (PLAIN + LABELS + "new_variables: {a: 1}", "line 3, column 20: a must be a formula"),
    (PLAIN + LABELS + "new_variables:\n  a: 1\n  b: open(x)", "line 4, column 6: a must be a formula"),
    (PLAIN + LABELS + "new_variables:\n  a: part_px + open(x)", "line 4, column 16: a: not a function"),
    (PLAIN + LABELS + "new_variables: {a: b * c, b: a}\nselection: a > 1", "a circle of new variables"),
    (PLAIN + LABELS + "new_variables: {a: a + 1}\nselection: a > 1", "a circle of new variables: a -> a"),
    (PLAIN + LABELS + "new_variables:\n a: '-(jet_pt > 1)'\nselection: a > 1", "line 4, column 6: .*be computed"),
    (PLAIN + LABELS + "weights: {reweight_method: flat}", "lacks the key 'use_precomputed_weights'"),
    (PLAIN + LABELS + "weights: {use_precomputed_weights: false}", "lacks the key 'reweight_method'"),
    (PLAIN + LABELS + "weights: {use_precomputed_weights: 1}", "must be true or false"),
    (PLAIN + LABELS + "bucketing: {var: a, bins: [3, 2]}", "at least two rising numbers"),
    (PLAIN + LABELS + "file_magic: {a: {b: c}}", "file_magic.a must be a number"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_what_is_wrong_is_named_with_its_place(text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        read(text)
    assert str(caught.value).startswith("some.yaml, line ")


WRONG_INPUTS = [
    ("[[part_deta, x]]", "length: 128", "'part_deta', entry 2 must be a number, not x"),
    ("[[part_deta, .nan]]", "length: 128", "must not be NaN"),
    ("[[part_deta, 1, null]]", "length: 128", "entry 3 must be a number"),
    ("[[part_deta, 1, 1, 5, -5]]", "length: 128", "must be .lowest, highest"),
    ("[[part_deta, 1, 1, 1, 2, 3, 4]]", "length: 128", "subtract_by, multiply_by"),
    ("[[]]", "length: 128", "subtract_by, multiply_by"),
    ("[{part_deta: 1}]", "length: 128", "the name of a variable must be text"),
    ("part_deta", "length: 128", "must be a list"),
    ("[]", "length: 128", "lists nothing"),
    ("[part_deta]", "pad_mode: wrap", "lacks the key 'length'"),
    ("[part_deta]", "length: many", "must be a whole number"),
    ("[part_deta]", "length: 0", "must be a whole number"),
    ("[part_deta]", "length: null", "columns of constituents with a length"),
    ("[jet_pt]", "length: 128", "columns of constituents with a length"),
    ("[part_deta, jet_pt]", "length: 128", "columns of constituents with a length"),
    ("[part_deta]", "length: 128\n    pad_mode: zero", "constant or wrap, not 'zero'"),
    ("[part_deta]", "length: 128\n    padmode: wrap", "did you mean 'pad_mode'"),
    ("[[part_deta, 1], [part_deta, 2]]", "length: 128", "line 5, column 28: 'part_deta' is used twice"),
]


@pytest.mark.parametrize(("variables", "group", "message"), WRONG_INPUTS)
def test_a_wrong_input_is_named_with_its_place(variables, group, message):
    with pytest.raises(ConfigError, match=message):
        with_features(variables, group=group)


GROUPS = [
    ("sv_features: {length: 5, vars: [part_charge]}", "both features; a jet has one list"),
    (
        "pf_vectors: {length: 5, vars: [part_px, part_py, part_pz, part_energy]}",
        "several lengths: features 128, vectors 5",
    ),
    ("pf_vectors: {length: 128, vars: [part_px, part_py]}", "px, py, pz and energy, not 2"),
    ("pf_tokens: {length: 128, vars: [part_px]}", "no telling what 'pf_tokens' is"),
    ("pf_mask: {length: 128, vars: [part_charge]}", "must be one variable made by ak.ones_like"),
    ("pf_mask: {length: 128, pad_mode: wrap, vars: [m]}", "a mask is padded with a constant"),
]


@pytest.mark.parametrize(("group", "message"), GROUPS)
def test_inputs_that_do_not_fit_together_are_refused(group, message):
    with pytest.raises(ConfigError, match=message):
        read(f"inputs:\n  pf_features: {{length: 128, vars: [part_deta]}}\n  {group}\n{LABELS}")


def test_points_that_are_no_features_are_named():
    config = read(
        "inputs:\n  pf_points: {length: 9, vars: [part_dphi]}\n"
        f"  pf_features: {{length: 9, vars: [part_deta]}}\n{LABELS}"
    )
    with pytest.raises(ConfigError, match="the points part_dphi are not among the features"):
        _ = config.point_columns


UNSAFE = [
    ("a: &x [1]\nb: *x", "line 1, column 4: anchors and aliases"),
    ("a: &a [x]\nb: &b [*a, *a]\nc: &c [*b, *b]", "anchors and aliases"),
    ("a: !!python/object/apply:os.system [ls]", "the tag .* is not read"),
    ("a: !other 1", "the tag .* is not read"),
    ("<<: {a: 1}", "merge"),
    ("a: 1\nb: 2\na: 3", "line 3, column 1: 'a' is given twice, first in line 1"),
    ("[" * 50, "nested more than"),
    ("---\na: 1\n---\nb: 2", "second document"),
    ("1: 2", "a key must be a name"),
    ("[1]: 2", "a key must be a name"),
    ("a: 2020-01-01", "timestamp"),
    ("a: 'open", "not YAML"),
    ("a: \x07", "not YAML"),
    ("a: " + "9" * 5000, "is no number"),
    ("", "is empty"),
    ("just words", "must be a mapping"),
]


@pytest.mark.parametrize(("text", "message"), UNSAFE)
def test_yaml_that_could_grow_or_run_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        read(text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"#" * (LARGEST + 1), "a configuration has at most"),
        (b"a: \xff", "not text in UTF-8"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_a_configuration_is_named(content, message, tmp_path):
    path = tmp_path / "config.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_weaver_config(path)
    assert str(path) in str(caught.value)


def test_a_chain_of_thousands_of_variables_ends_in_an_error_of_our_own():
    chain = "".join(f"  v{i}: v{i - 1} + 1\n" for i in range(1, 3000))
    with pytest.raises(ConfigError, match="more than 50 new variables in a row"):
        with_features("[v2999]", top=f"new_variables:\n  v0: part_px\n{chain}")


def test_variables_made_of_each_other_twice_over_do_not_take_forever():
    ladder = "".join(f"  a{i}: a{i - 1} + b{i - 1}\n  b{i}: a{i - 1} - b{i - 1}\n" for i in range(1, 40))
    config = with_features("[a39]", top=f"new_variables:\n  a0: part_px\n  b0: part_py\n{ladder}")
    assert config.feature_set.needs == ("part_energy", "part_px", "part_py", "part_pz")
