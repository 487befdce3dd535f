"""Errors that a user may see. Each message says what was wrong, where, and what to do."""

from jetassay.masking import mask


class JetAssayError(Exception):
    """Base of every error that jetassay raises on purpose; the command line prints it without a traceback.

    Credentials in the message are masked, whatever it quotes.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(mask(each) if isinstance(each, str) else each for each in args))


class DataError(JetAssayError):
    """A file or its content cannot be used; the message names file, branch and entry."""


class NotFiniteError(DataError):
    """A backbone gives NaN or infinity; the message names it, and where it is known the file and entry."""


class ConfigError(JetAssayError):
    """A card, suite or command-line value is wrong; the message names the file and the key."""


class TrustError(JetAssayError):
    """Somebody's code would have to run, and the user has not said that it may."""


class WeightsError(JetAssayError):
    """Weights are missing, of another hash, or do not fit the architecture."""


class LeakageError(JetAssayError):
    """Something that is truth was about to become an input, or a score is too good to be true."""


class UnknownNameError(JetAssayError, KeyError):
    """A name that no registry knows; the message suggests the nearest one."""

    def __str__(self) -> str:
        return str(self.args[0])


class PluginError(JetAssayError):
    """A plug-in does not give what its entry point promises; the message names its distribution and the reason."""


class DuplicateNameError(JetAssayError):
    """A name was registered twice."""


class ConvergenceError(JetAssayError):
    """A fit did not reach its stated gradient norm."""


class SimulationError(JetAssayError):
    """The event generator or the detector could not do what was asked."""


class StoreError(JetAssayError):
    """A shard or an output file cannot be written or read back: disk full, no permission, in the way, damaged."""


class InterruptedRunError(JetAssayError):
    """The user or the batch system stopped the run; the message says what is kept and how to go on."""


class TrackingError(JetAssayError):
    """Runs cannot be recorded; the scores are on disk, and the message says how to send them later."""


class FetchError(JetAssayError):
    """A file cannot be fetched, is another one than expected, or cannot be unpacked safely."""


class ClusterError(JetAssayError):
    """A Dask cluster cannot be started or reached, or its workers are not what the work needs."""
