"""Small files of jets in the JetClass schema with truth that can be shuffled, and subjects that stand on them."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jetassay.audit.choices import AuditChoice
from jetassay.audit.subject import Subject
from jetassay.audit.subsample import AuditedJets
from jetassay.embeddings.datasets import embed_dataset
from jetassay.embeddings.store import EmbeddingStore
from jetassay.jets.converting import convert_file
from jetassay.jets.dataset import open_dataset
from jetassay.jets.labels import LABEL_LISTS
from jetassay.jets.schema import SCHEMAS
from jetassay.scoring import sample_of
from jetassay.tasks.samples import Splits

CLASSES = ("QCD", "Hbb")
SPLITS = ("train", "validation", "test")


def made_columns(name, jets, *, seed):
    """Lists by name with one row a constituent, their lengths, and numbers, one row a jet, of jets of one class."""
    rng = np.random.default_rng([seed, *name.encode()])
    counts = rng.integers(3, 30 if name == "QCD" else 38, jets)
    owner = np.repeat(np.arange(jets), counts)
    pt = rng.exponential(20, counts.sum()) + 0.5
    pt = pt[np.lexsort((-pt, owner))]
    deta, dphi = rng.normal(0, 0.2, (2, len(pt)))
    axis = rng.normal(0, 1, jets), rng.uniform(-3, 3, jets)
    eta, phi = axis[0][owner] + deta, axis[1][owner] + dphi
    identity = rng.integers(0, 5, len(pt))
    lists = {
        "part_px": pt * np.cos(phi),
        "part_py": pt * np.sin(phi),
        "part_pz": pt * np.sinh(eta),
        "part_energy": pt * np.cosh(eta) * 1.01,
        "part_deta": deta,
        "part_dphi": dphi,
        "part_d0val": rng.normal(0, 1, len(pt)),
        "part_d0err": rng.uniform(0, 1, len(pt)),
        "part_dzval": rng.normal(0, 1, len(pt)),
        "part_dzerr": rng.uniform(0, 1, len(pt)),
        "part_charge": rng.integers(-1, 2, len(pt)),
        "part_isChargedHadron": identity == 0,
        "part_isNeutralHadron": identity == 1,
        "part_isPhoton": identity == 2,
        "part_isElectron": identity == 3,
        "part_isMuon": identity == 4,
        "part_origin": np.full(len(pt), CLASSES.index(name)) + rng.uniform(0, 0.1, len(pt)),
    }
    numbers = {
        "jet_pt": np.bincount(owner, pt, jets),
        "jet_eta": axis[0],
        "jet_phi": axis[1],
        "jet_energy": np.bincount(owner, lists["part_energy"], jets) * 1.1,
        "jet_nparticles": counts,
        "jet_sdmass": rng.gamma(4, 25, jets),
        **{f"jet_tau{k}": rng.uniform(0.1, 1, jets) for k in range(1, 5)},
        "aux_genpart_pt": rng.uniform(500, 1000, jets),
        "secret": rng.uniform(0, 1, jets) + CLASSES.index(name),
        **{f"label_{each}": np.full(jets, each == name) for each in LABEL_LISTS["jetclass"]},
    }
    as_float = {key: value.astype(np.float32) for key, value in lists.items()}
    return as_float, counts, {key: value.astype(np.float32) for key, value in numbers.items()}


def write_file(path, name, jets=60, *, seed=1, edit=lambda lists, counts, numbers: None):
    """A parquet file of one class; `edit` changes its columns before they are written."""
    lists, counts, numbers = made_columns(name, jets, seed=seed)
    edit(lists, counts, numbers)
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    table = {key: pa.ListArray.from_arrays(offsets, pa.array(value)) for key, value in lists.items()}
    pq.write_table(pa.table(table | numbers), path)
    return path


def write_files(folder, *, jets=60, edit=lambda lists, counts, numbers: None):
    """One file of each class and split; the classes' names are in those of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        write_file(folder / f"{name}_{number:03d}.parquet", name, jets, seed=number, edit=edit)
        for name in CLASSES
        for number in range(3)
    ]


def in_format(paths, folder, form):
    """The same files as ROOT or HDF5, with the columns that the schema knows."""
    endings = {"root": "root", "hdf5": "h5"}
    return [
        convert_file(path, folder / f"{path.stem}.{endings[form]}", schema=SCHEMAS["jetclass"], to=form).output
        for path in paths
    ]


def audited_jets(paths, *, jets=120, schema="jetclass", name="made-up", **options):
    """The files as a dataset that is split by their numbers: 000 trains, 001 validates, 002 tests."""
    dataset = open_dataset(name, paths, schema=schema)
    splits = {
        split: tuple(file for file in dataset.files if file.path.stem.endswith(f"{number:03d}"))
        for number, split in enumerate(SPLITS)
    }
    return AuditedJets(dataset, splits, jets=jets, **options)


def subject_of(backbone, jets, *, store=None, **choice):
    """`backbone` under audit on `jets`; its embedded samples are made in the folder `store` when asked for."""

    def samples():
        embedded = embed_dataset(backbone, jets.dataset, store=EmbeddingStore(store), threads=1)
        return Splits(**{split: sample_of(embedded, files) for split, files in jets.splits.items()})

    return Subject(backbone, jets=jets, choice=AuditChoice(**choice), samples=samples, threads=1)


def changed(jets, **fields):
    """The same jets with some fields of their dataset changed."""
    return AuditedJets(replace(jets.dataset, **fields), jets.splits, jets=sum(jets.entries))
