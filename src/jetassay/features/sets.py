"""The shipped feature sets, line by line as in the published weaver data configurations.

Order of the lines is order of the inputs, and part of the recipe.
"""

from jetassay.features.recipe import Feature, FeatureSet
from jetassay.registry import Registry

_KIN = "JetClass_kin.yaml (jet-universe/particle_transformer 2925bdb)"
_KINPID = "JetClass_kinpid.yaml (jet-universe/particle_transformer 2925bdb)"
_FULL = "JetClass_full.yaml (jet-universe/particle_transformer 2925bdb)"
_SOPHON = "JetClassII_full.yaml (jet-universe/sophon 9dd6dd6)"
_CLIP = (-5.0, 5.0)
_ERROR_CLIP = (0.0, 1.0)

_LOGS = (
    Feature("log_pt", shift=1.7, scale=0.7, clip=_CLIP, source=_KIN),
    Feature("log_energy", shift=2.0, scale=0.7, clip=_CLIP, source=_KIN),
)
_SCALED_LOGS = (
    Feature("log_pt_scaled", shift=1.7, scale=0.7, clip=_CLIP, source=_SOPHON),
    Feature("log_energy_scaled", shift=2.0, scale=0.7, clip=_CLIP, source=_SOPHON),
)
_RELATIVE = (
    Feature("log_pt_rel", shift=-4.7, scale=0.7, clip=_CLIP, source=_KIN),
    Feature("log_energy_rel", shift=-4.7, scale=0.7, clip=_CLIP, source=_KIN),
    Feature("delta_r", shift=0.2, scale=4.0, clip=_CLIP, source=_KIN),
)
_IDENTITY = (
    Feature("part_charge", source=_KINPID),
    Feature("part_isChargedHadron", source=_KINPID),
    Feature("part_isNeutralHadron", source=_KINPID),
    Feature("part_isPhoton", source=_KINPID),
    Feature("part_isElectron", source=_KINPID),
    Feature("part_isMuon", source=_KINPID),
)
_DISPLACEMENT = (
    Feature("tanh_d0", source=_FULL),
    Feature("part_d0err", clip=_ERROR_CLIP, source=_FULL),
    Feature("tanh_dz", source=_FULL),
    Feature("part_dzerr", clip=_ERROR_CLIP, source=_FULL),
)
_POSITION = (
    Feature("part_deta", source=_KIN),
    Feature("part_dphi", source=_KIN),
)

FEATURE_SETS: Registry[FeatureSet] = Registry("feature set", of=FeatureSet, group="jetassay.features")
FEATURE_SETS.add(
    "part-kin",
    lambda: FeatureSet(
        name="part-kin",
        title="Kinematics of each constituent (7), as the Particle Transformer sees JetClass",
        features=(*_LOGS, *_RELATIVE, *_POSITION),
    ),
)
FEATURE_SETS.add(
    "part-kinpid",
    lambda: FeatureSet(
        name="part-kinpid",
        title="Kinematics, charge and particle identity (13)",
        features=(*_LOGS, *_RELATIVE, *_IDENTITY, *_POSITION),
    ),
)
FEATURE_SETS.add(
    "part-full",
    lambda: FeatureSet(
        name="part-full",
        title="Kinematics, identity and displacement (17)",
        features=(*_LOGS, *_RELATIVE, *_IDENTITY, *_DISPLACEMENT, *_POSITION),
    ),
)
FEATURE_SETS.add(
    "sophon",
    lambda: FeatureSet(
        name="sophon",
        title="As part-full (17), four-vectors rescaled to a jet pT of 500 GeV",
        features=(*_SCALED_LOGS, *_RELATIVE, *_IDENTITY, *_DISPLACEMENT, *_POSITION),
        p4=("px_scaled", "py_scaled", "pz_scaled", "energy_scaled"),
    ),
)
FEATURE_SETS.add(
    "jet-observables",
    lambda: FeatureSet(
        name="jet-observables",
        title="Eight observables of the jet as a whole: no constituent is looked at",
        # Shifts and scales are round numbers that bring each observable of JetClass-like jets to a spread of order
        # one, so that similarity measures, which do not rescale, are not ruled by pT alone.
        jet_features=(
            Feature("jet_pt", shift=600, scale=0.01, source="GeV"),
            Feature("jet_eta"),
            Feature("jet_mass", shift=100, scale=0.02, source="GeV, from jet_pt, jet_eta and jet_energy"),
            Feature("jet_sdmass", shift=80, scale=0.02, source="GeV, soft-drop (arXiv:1402.2657)"),
            Feature("jet_nparticles", shift=40, scale=0.06),
            Feature("tau21", shift=0.4, scale=6, source="N-subjettiness (arXiv:1011.2268)"),
            Feature("tau32", shift=0.7, scale=6, source="N-subjettiness (arXiv:1011.2268)"),
            Feature("tau43", shift=0.8, scale=6, source="N-subjettiness (arXiv:1011.2268)"),
        ),
    ),
)
