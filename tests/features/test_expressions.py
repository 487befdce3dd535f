"""Formulas: what they give, against weaver's own evaluation, and what is refused, with its place."""

import pickle

import awkward as ak
import numpy as np
import pytest

from jetassay.errors import ConfigError, DataError
from jetassay.features.expressions.evaluation import Level, evaluate
from jetassay.features.expressions.parsing import DEEPEST, LONGEST, ExpressionError, parse_expression
from jetassay.features.expressions.quantity import Formula, formula_quantity, trial_column
from jetassay.features.inputs import QuantityValues, compute_inputs
from jetassay.features.recipe import Feature, FeatureSet

FORMULAS = [
    "np.log(part_energy/jet_energy)",
    "part_px / jet_pt * 500",
    "np.hypot(part_deta, part_dphi)",
    "np.sqrt(part_px**2 + part_py**2)",
    "numpy.tanh(part_d0val) - math.log(2) * np.pi",
    "np.clip(jet_pt, 200, 500)",
    "np.clip(jet_eta, a_min=-0.5, a_max=np.inf)",
    "_clip(part_d0err, 0, 1)",
    "np.where(part_charge != 0, part_d0val, 0)",
    "ak.where(part_charge == 0, -1, part_d0val / np.maximum(part_d0err, 1e-3))",
    "(part_isMuon == 1) + (part_isElectron == 1) * 0.5 + (part_charge == 0) * 0.2",
    "(part_charge > 0) & ~(part_isPhoton == 1) | (part_deta < 0)",
    "np.arctan2(part_py, part_px) % np.pi",
    "np.sign(part_deta) * np.abs(part_deta) ** 0.5",
    "1 - part_charge",
    "-part_dphi",
    "np.nan_to_num(np.log(part_d0val), nan=-3.0, posinf=1, neginf=0)",
    "awkward.ones_like(part_energy)",
    "ak.zeros_like(part_energy) + jet_eta",
    "np.log1p(jet_pt) // 1",
    "part_energy / ak.sum(part_energy, axis=1)",
    "ak.num(part_px)",
    "ak.num(part_px, axis=1) * 1.0",
    "ak.max(part_energy, axis=-1)",
    "ak.min(part_d0val * part_charge, axis=1)",
    "ak.sum(part_charge != 0, axis=1)",
    "ak.mean(part_deta, axis=1)",
    "np.sum(part_px, axis=1)",
    "ak.any(part_isMuon == 1, axis=1)",
    "ak.firsts(part_px)",
    "(jet_pt > 200) & (jet_pt < 600.5)",
    "np.logical_and(part_charge > 0, jet_eta > 0)",
    "np.isfinite(np.log(part_d0val))",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_gives_what_weaver_gives(text, make_jets, weaver):
    from weaver.utils.data.eval_utils import _eval_expr

    jets = make_jets([3, 1, 40, 17])
    with np.errstate(all="ignore"):
        theirs = _eval_expr(text, weaver.table(jets))
    ours = value(text, jets)
    per_constituent = theirs.ndim == 2
    assert ours.shape == (61 if per_constituent else 4,)
    flat = ak.to_numpy(ak.flatten(theirs) if per_constituent else theirs)
    np.testing.assert_allclose(ours.astype(np.float32), flat.astype(np.float32), rtol=1e-6, atol=1e-6)


def value(text, jets):
    """The formula's value for `jets`, through a quantity."""
    formula = parse_expression(text)
    known = {
        name: trial_column(Level.CONSTITUENT if name in jets.constituents else Level.JET) for name in formula.names
    }
    quantity, _ = formula_quantity("it", formula, known)
    return QuantityValues(jets, {"it": quantity})["it"]


def test_lists_can_be_cut_with_numpys_clip_too(make_jets):
    jets = make_jets([5, 6])
    expected = np.minimum(jets.constituents["part_d0err"], np.repeat(jets.columns["jet_tau1"], [5, 6]))
    np.testing.assert_array_equal(value("np.clip(part_d0err, None, jet_tau1)", jets), expected)


def test_names_are_known_without_evaluating():
    formula = parse_expression("np.log(part_pt / jet_pt) + part_pt * np.pi - math.e")
    assert set(formula.names) == {"part_pt", "jet_pt"}


def test_a_flag_column_may_stand_in_a_logical_operation(make_jets):
    jets = make_jets([5, 6])
    expected = (jets.constituents["part_isMuon"] == 0) & (jets.constituents["part_charge"] > 0)
    np.testing.assert_array_equal(value("~part_isMuon & (part_charge > 0)", jets), expected)


def test_a_column_of_other_numbers_may_not_stand_in_a_logical_operation(make_jets):
    with pytest.raises(ConfigError, match="comparisons and for columns of 0 and 1"):
        value("part_px & (part_charge > 0)", make_jets([5, 6]))


def test_a_mere_number_counts_for_each_jet(make_jets):
    np.testing.assert_array_equal(value("2 * np.pi", make_jets([5, 6])), [2 * np.pi, 2 * np.pi])


def test_a_sum_over_a_jet_is_the_same_in_any_company(make_jets):
    jets = make_jets([3, 17, 90, 5])
    whole = value("part_energy / ak.sum(part_energy, axis=1)", jets)
    part = value("part_energy / ak.sum(part_energy, axis=1)", jets.take(np.array([2, 0])))
    np.testing.assert_array_equal(part, np.concatenate([whole[20:110], whole[:3]]))


def test_a_feature_set_takes_formulas_for_constituents_and_jets(make_jets):
    constituent, jet = trial_column(Level.CONSTITUENT), trial_column(Level.JET)
    share, _ = formula_quantity(
        "share", parse_expression("part_energy / ak.sum(part_energy, axis=1)"), {"part_energy": constituent}
    )
    log_pt, _ = formula_quantity("log_jet_pt", parse_expression("np.log(jet_pt)"), {"jet_pt": jet})
    leading, _ = formula_quantity("leading", parse_expression("ak.max(share, axis=1)"), {"share": constituent})
    feature_set = FeatureSet(
        name="mine",
        title="",
        features=(Feature("share", scale=10, clip=(0, 5)),),
        jet_features=(Feature("leading"), Feature("log_jet_pt")),
        definitions=(share, log_pt, leading),
    )
    jets = make_jets([3, 17])
    batch = compute_inputs(feature_set, jets)
    energy = jets.constituents["part_energy"]
    np.testing.assert_allclose(batch.features[:3, 0], np.minimum(10 * energy[:3] / energy[:3].sum(), 5), rtol=1e-5)
    expected = [energy[:3].max() / energy[:3].sum(), energy[3:].max() / energy[3:].sum()]
    np.testing.assert_allclose(batch.jet_features[:, 0], expected, rtol=1e-5)
    np.testing.assert_allclose(batch.jet_features[:, 1], np.log(jets.columns["jet_pt"]), rtol=1e-6)
    assert feature_set.needs == ("jet_pt", "part_energy", "part_px", "part_py", "part_pz")


def test_what_is_not_finite_is_an_error_with_its_place(make_jets):
    quantity, _ = formula_quantity(
        "strange", parse_expression("np.log(ak.sum(part_d0err, axis=1) - 1e9)"), {"part_d0err": trial_column(Level(2))}
    )
    feature_set = FeatureSet(name="mine", title="", jet_features=(Feature("strange"),), definitions=(quantity,))
    with pytest.raises(DataError, match="strange is nan for jet 0"):
        compute_inputs(feature_set, make_jets([3, 4]))


def test_the_digest_moves_with_the_formula_and_not_with_its_blanks():
    def digest(text):
        quantity, _ = formula_quantity("it", parse_expression(text), {"part_px": trial_column(Level.CONSTITUENT)})
        return FeatureSet(name="mine", title="", features=(Feature("it"),), definitions=(quantity,)).digest()

    assert digest("part_px * 2") == digest(" part_px   * 2 ")
    assert digest("part_px * 2") != digest("part_px * 3")


def test_a_formula_comes_back_from_a_pickle_checked_again():
    formula = parse_expression("part_px" + " + part_px" * 900)
    assert pickle.loads(pickle.dumps(formula)) == formula


def test_a_refusal_survives_a_journey_to_another_process():
    with pytest.raises(ExpressionError) as caught:
        parse_expression("1 + open(part_px)")
    back = pickle.loads(pickle.dumps(caught.value))
    assert (str(back), back.column) == (str(caught.value), 5)


def test_a_long_chain_of_terms_is_no_deep_formula(make_jets):
    jets = make_jets([4, 3])
    found = value("jet_nparticles" + " + jet_nparticles" * 500, jets)
    np.testing.assert_array_equal(found, [4 * 501, 3 * 501])


def test_conditions_joined_by_and_come_apart():
    parts = parse_expression(" (jet_pt > 200) & ((jet_eta < 2) | (a == 1)) & b").conjuncts()
    assert [part.text for part in parts] == ["jet_pt > 200", "(jet_eta < 2) | (a == 1)", "b"]


def test_a_part_of_another_level_is_named():
    formula = Formula(parse_expression("part_px * 2"), (Level.CONSTITUENT,))
    with pytest.raises(DataError, match="part_px must be a column of constituents"):
        formula(np.ones(2, np.float32), offsets=np.array([0, 2, 5]))


REFUSED = [
    ("", 1, "no formula"),
    ("   ", 1, "no formula"),
    ("part_px +", 1, "not a formula"),
    ("part_px[0]", 8, r"the character '\['"),
    ("[part_px for x in y]", 1, r"the character '\['"),
    ("(lambda: part_px)()", 8, "the character ':'"),
    ("__import__('os').system('ls')", 12, 'the character "\'"'),
    ("__import__(part_px)", 1, "only those can be named"),
    ('"text"', 1, "the character"),
    ("part_px.__class__", 1, "not a constant"),
    ("np.log.__self__", 1, "not a constant"),
    ("np.log", 1, "not on the list"),
    ("np.__loader__", 1, "not on the list"),
    ("1 + np.load(part_px)", 5, "np.load is not on the list"),
    ("np.fromfile(part_px)", 1, "not on the list"),
    ("np.lgo(part_px)", 1, "did you mean np.log?"),
    ("np.f(part_px)(part_px)", 1, "not a function"),
    ("_clip", 1, "'_clip' is no column"),
    ("_pad(part_px, 3)", 1, "not a function"),
    ("np.log(part_px).sum()", 1, "not a function"),
    ("part_px(1)", 1, "not a function"),
    ("open(part_px)", 1, "not a function"),
    ("os.system(part_px)", 1, "not a function"),
    ("eval(part_px)", 1, "not a function"),
    ("math.factorial(99999)", 1, "not on the list"),
    ("np", 1, "'np' is no column"),
    ("_hidden + 1", 1, "'_hidden' is no column"),
    ("part_px if jet_pt else 1", 1, "np.where"),
    ("part_px and jet_pt", 1, "use `&`"),
    ("not part_px", 1, "use `~`"),
    ("1 < part_px < 2", 1, r"\(a < b\) & \(b < c\)"),
    ("part_px is None", 1, "only < <="),
    ("part_px in jet_pt", 1, "only < <="),
    ("part_px << 3", 1, "LShift"),
    ("part_px @ part_px", 9, "the character '@'"),
    ("part_px, part_py", 1, "list of values"),
    ("(x := part_px)", 4, "the character ':'"),
    ("np.log(*part_px)", 8, "Starred"),
    ("np.log(part_px, **part_py)", 1, "no keyword 'None'"),
    ("np.log(part_px, out=part_py)", 1, "no keyword 'out'"),
    ("np.log(part_px, part_py)", 1, "takes 1 arguments"),
    ("np.where(part_px)", 1, "takes 3 arguments"),
    ("np.log(None)", 8, "None is no real number"),
    ("2j * part_px", 1, "no real number"),
    ("...", 1, "no real number"),
    ("99999999999999999999 + part_px", 1, "whole numbers end"),
    ("9" * 5000, 1, "not a formula|beyond"),
    ("yield part_px", 1, "not a formula"),
    ("await part_px", 1, "Await"),
    ("ak.sum(part_px)", 1, "needs `axis=1`"),
    ("np.max(part_px)", 1, "needs `axis=1`"),
    ("ak.sum(part_px, axis=0)", 1, "needs `axis=1`"),
    ("ak.sum(part_px, axis=part_py)", 1, "needs `axis=1`"),
    ("ak.sum(part_px, axis=1, keepdims=True)", 1, "nothing else"),
    ("a" * (LONGEST + 1), LONGEST + 1, "at most"),
    ("-" * DEEPEST + "a", DEEPEST + 1, "levels deep"),
    ("-" * 5000 + "a", 1, "beyond"),
    ("(" * 500 + "a" + ")" * 500, 1, "not a formula|beyond"),
    ("part_px + ｎｐ.log(1)", 11, "the character"),
    ("part_px\\", 8, "the character"),
    ("part_px # comment", 9, "the character"),
]


@pytest.mark.parametrize(("text", "column", "reason"), REFUSED)
def test_what_is_not_on_the_list_is_refused_with_line_and_column(text, column, reason):
    with pytest.raises(ExpressionError, match=reason) as caught:
        parse_expression(text)
    assert caught.value.column >= 1
    if "|beyond" not in reason:
        assert caught.value.column == column
    assert f"line 1, column {caught.value.column} of" in str(caught.value)


CANNOT = [
    ("9 ** 9 ** 9", "an exponent may be"),
    ("(2 ** 62) * 4", "whole numbers end"),
    ("(-1) ** 0.5", "not a real number"),
    ("1 / 0 + part_px", "cannot be computed"),
    ("math.exp(100000)", "cannot be computed"),
    ("math.log(part_px)", "use the function of np"),
    ("(part_px > 1) - (part_py > 1)", "cannot be computed"),
    ("-(part_px > 1)", "cannot be computed"),
    ("~3 + part_px", "makes no sense"),
    ("ak.sum(jet_pt, axis=1)", "needs a column of constituents"),
    ("ak.num(3)", "needs a column of constituents"),
    ("np.ones_like(3)", "needs a column"),
    ("(part_px * 2.5) & (jet_pt > 1)", "comparisons"),
]


@pytest.mark.parametrize(("text", "reason"), CANNOT)
def test_what_cannot_be_computed_is_found_in_the_trial(text, reason):
    formula = parse_expression(text)
    known = {"part_px": trial_column(Level(2)), "part_py": trial_column(Level(2)), "jet_pt": trial_column(Level(1))}
    with pytest.raises(ExpressionError, match=reason):
        formula_quantity("it", formula, known)


def test_numpy_is_not_disturbed_by_infinities():
    formula = parse_expression("np.log(part_px - part_px) + 1e300 * part_px")
    result = evaluate(formula, {"part_px": trial_column(Level.CONSTITUENT)}, offsets=np.array([0, 2, 3]))
    assert not np.isfinite(result.values).any()
