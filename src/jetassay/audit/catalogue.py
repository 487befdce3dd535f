"""Every check by name: what it proves, what it costs, and where its code is. Listing checks imports none of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from jetassay.errors import ConfigError
from jetassay.registry import Registry

if TYPE_CHECKING:
    from jetassay.audit.finding import Finding
    from jetassay.audit.subject import Subject

Function = Callable[["Subject"], "Iterable[Finding]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The facts of one check.

    proves:   what a pass means, in one sentence
    function: `package.module:function`, called with a `Subject`, gives `Finding` rows
    depth:    "cheap": run by default; "full": only where it is asked for
    leak:     a failure means that truth may have been an input, and stops a suite
    version:  rises whenever a finding may change
    """

    name: str
    proves: str
    function: str
    depth: Literal["cheap", "full"] = "cheap"
    leak: bool = False
    version: int = 1

    def load(self) -> Function:
        """The check's function. Raises `ConfigError` where it cannot be imported."""
        module, _, name = self.function.partition(":")
        try:
            function: Function = getattr(import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"check '{self.name}': cannot import {self.function}: {error}") from error
        return function


CHECKS: Registry[Check] = Registry("check", of=Check)
for _check in (
    Check(
        name="columns",
        proves="all inputs are made of columns that the dataset lists as observed",
        function="jetassay.audit.static:columns",
        leak=True,
    ),
    Check(
        name="schema",
        proves="the dataset lists nothing as observed that is a label or generator-level by its name",
        function="jetassay.audit.static:schema",
        leak=True,
    ),
    Check(
        name="label-columns",
        proves="no input takes a few values that only and all jets of one label have",
        function="jetassay.audit.static:label_columns",
        version=2,
        leak=True,
    ),
    Check(
        name="taint",
        proves="truth and file names can change, and no bit of the embedding does",
        function="jetassay.audit.taint:taint",
        version=2,
        leak=True,
    ),
    Check(
        name="batches",
        proves="the order of entries and the cut into batches change nothing but rounding",
        function="jetassay.audit.taint:batches",
        version=2,
        leak=True,
    ),
    Check(
        name="repeats",
        proves="nothing is carried from one batch to the next, and no chance is involved",
        function="jetassay.audit.invariance:repeats",
        version=2,
    ),
    Check(
        name="batch-statistics",
        proves="a jet's embedding does not depend on the other jets of its batch",
        function="jetassay.audit.invariance:batch_statistics",
        version=2,
    ),
    Check(
        name="padding",
        proves="empty slots change nothing",
        function="jetassay.audit.invariance:padding",
        version=2,
    ),
    Check(
        name="constituent-order",
        proves="the order of constituents changes nothing, where the card says so",
        function="jetassay.audit.invariance:constituent_order",
    ),
    Check(
        name="splits",
        proves="no jet is in two splits",
        function="jetassay.audit.hygiene:splits",
        leak=True,
    ),
    Check(
        name="training-overlap",
        proves="no jet was seen in training, as far as card and files say",
        function="jetassay.audit.hygiene:training_overlap",
        leak=True,
    ),
    Check(
        name="weights",
        proves="the weights are not those of an untrained network, unless the card says that they are",
        function="jetassay.audit.weights:weights",
        version=2,
    ),
    Check(
        name="finite",
        proves="no embedding holds NaN or infinity",
        function="jetassay.audit.collapse:finite",
    ),
    Check(
        name="collapse",
        proves="the embedding varies along more than one direction",
        function="jetassay.audit.collapse:collapse",
    ),
    Check(
        name="dead-dimensions",
        proves="every dimension of the embedding varies",
        function="jetassay.audit.collapse:dead_dimensions",
    ),
    Check(
        name="duplicates",
        proves="distinct jets have distinct embeddings",
        function="jetassay.audit.collapse:duplicates",
        version=2,
    ),
    Check(
        name="stored",
        proves="what is scored is what the backbone gives here and now, under the labels of the files",
        function="jetassay.audit.stored:stored",
        leak=True,
    ),
    Check(
        name="shuffled-labels",
        proves="probes on shuffled labels are at chance",
        function="jetassay.audit.permutation:shuffled_labels",
        version=2,
        leak=True,
    ),
    Check(
        name="entry-order",
        proves="the embedding does not know a jet's place in its file",
        function="jetassay.audit.order:entry_order",
        leak=True,
    ),
    Check(
        name="too-good",
        proves="no class that cannot be told so well is told from QCD almost perfectly",
        function="jetassay.audit.suspicion:too_good",
        version=2,
        leak=True,
    ),
    Check(
        name="single-columns",
        proves="no observed column gives a class away, or says how it was selected",
        function="jetassay.audit.singles:single_columns",
        version=3,
    ),
    Check(
        name="last-digits",
        proves="the momenta of constituents of all classes were written in the same way",
        function="jetassay.audit.momenta:momenta",
    ),
    Check(
        name="class-dependent-drops",
        proves="no rule removes more of one class than of another",
        function="jetassay.audit.drops:class_dependent_drops",
    ),
    Check(
        name="untrained-twins",
        proves="the backbone is better than its architecture with random weights, and by how much",
        function="jetassay.audit.twins:untrained_twins",
        version=2,
        depth="full",
    ),
):
    CHECKS.add(_check.name, partial(lambda check: check, _check))
