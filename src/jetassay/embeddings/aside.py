"""Files of jets that cannot be used: set aside and named, so that they cost the others nothing."""

from collections.abc import Collection, Mapping

from jetassay.errors import DataError
from jetassay.jets.dataset import DataFile
from jetassay.progress import Reporter

MOST_SET_ASIDE = 10
"""Where more files than this cannot be used, it is not the files, or one should know before hours are spent."""


class SetAsideError(DataError):
    """Files that cannot be used. All that does not need them is complete.

    files: each with the reason
    """

    def __init__(self, files: Mapping[DataFile, str]) -> None:
        self.files = dict(files)
        super().__init__(f"{told(files)}; all others are complete.\n{reasons(files)}")


class FilesAside:
    """Files that were set aside so far. A warning names each at once, since the rest may take hours.

    before: how many were set aside before these
    """

    def __init__(self, reporter: Reporter, *, before: int = 0) -> None:
        self.files: dict[DataFile, str] = {}
        self._reporter, self._before = reporter, before

    def __contains__(self, file: object) -> bool:
        return file in self.files

    def put(self, file: DataFile, reason: str) -> None:
        """Set one aside. Raises `DataError` where it is one too many."""
        self.files[file] = reason
        self._reporter.warning(f"set aside, the others go on: {named(file, reason)}")
        self.require_few({file}, reason=reason)

    def require_few(self, suspects: Collection[DataFile], *, reason: str) -> None:
        """Raises `DataError` where too many files are aside or suspected; reason: why the last of them is."""
        if self._before + len({*self.files, *suspects}) > MOST_SET_ASIDE:
            raise DataError(
                f"more than {MOST_SET_ASIDE} files cannot be used; what was complete is kept. The last:\n{reason}"
            )

    def close(self) -> None:
        """Raises `SetAsideError` where there are any."""
        if self.files:
            raise SetAsideError(self.files)


def told(files: Mapping[DataFile, str]) -> str:
    """How many files were set aside."""
    return f"{len(files)} file{'s' * (len(files) > 1)} set aside"


def reasons(files: Mapping[DataFile, str]) -> str:
    """Why each of them, a line each."""
    return "\n".join(named(file, reason) for file, reason in files.items())


def named(file: DataFile, reason: str) -> str:
    """The reason with the file's path, which most reasons give themselves."""
    return reason if str(file.path) in reason else f"{file.path}: {reason}"
