"""What a fetch would do: which files, from where, to where, and what is there already."""

import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from jetassay.backbones.card import Card, Weights
from jetassay.backbones.weights import weights_path
from jetassay.errors import FetchError
from jetassay.fetching.archive import is_archive
from jetassay.fetching.connection import UnreachableError, plainly
from jetassay.fetching.download import part_of
from jetassay.fetching.listing import Hosts, ask_publisher, ask_sizes, join, shown_source, urls_of
from jetassay.fetching.lock import Lock, read_lock, with_checks
from jetassay.fetching.remote import RemoteFile, choose, expand, is_pattern, safe_name, shown_size
from jetassay.jets.catalogue import DatasetCard, Source, fetched_folder
from jetassay.masking import mask

State = Literal["unpacked", "here", "missing"]
_SHOWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Files to bring to a folder.

    lock:       of a dataset; None for weights, whose card says what they are
    plain_http: whether the user named the addresses, so that unencrypted http is allowed
    """

    name: str
    files: tuple[RemoteFile, ...]
    output: Path
    lock: Lock | None = None
    plain_http: bool = False

    def target(self, file: RemoteFile) -> Path:
        """Where a file goes."""
        return self.output / file.name

    def unpacks(self, file: RemoteFile) -> bool:
        """Whether a file is an archive of jets."""
        return self.lock is not None and is_archive(file.name)

    def state(self, file: RemoteFile) -> State:
        """What is there of a file; `here` is not verified."""
        known = self.lock.files.get(file.name) if self.lock else None
        if known is not None and known.members is not None:
            places = {self.output / name: size for name, size in known.members.items()}
            if all(place.is_file() and place.stat().st_size == size for place, size in places.items()):
                return "unpacked"
        return "here" if self.target(file).is_file() else "missing"

    def space(self) -> int:
        """Bytes that are still to be written, as far as sizes are known; an archive and its content lie side by side.

        Content is reckoned as large as its archive, since files of jets are compressed already.
        """
        needed, largest = 0, 0
        for file in self.files:
            state, size = self.state(file), file.size or 0
            archive = self.unpacks(file)
            if state == "unpacked" or (state == "here" and not archive):
                continue
            loaded = size if state == "here" or file.local else min(_size(part_of(self.target(file))), size)
            if archive:
                needed += size
                largest = max(largest, size - loaded)
            else:
                needed += size - loaded if file.local is None else size
        return needed + largest


def plan_weights(card: Card, *, source: str | None, output: Path | None) -> Plan:
    """The official weights of a backbone, to where the backbone looks for them.

    Raises `FetchError` where the card has none to fetch.
    """
    weights = card.weights
    if weights is None or weights.file is not None:
        why = "has no weights" if weights is None else "ships with its weights"
        raise FetchError(f"{card.name}: {why}, so there is nothing to fetch")
    place = weights_path(card)
    names = tuple(dict.fromkeys((place.name, f"{card.name}/{place.name}")))
    file = RemoteFile(name=place.name, urls=weights.urls, size=weights.size, checks=_identity(weights))
    if source is not None:
        file = _elsewhere(file, names, source)
    return Plan(
        name=card.name,
        files=(file,),
        output=output or place.parent,
        plain_http=source is not None,
    )


def plan_dataset(
    card: DatasetCard, *, source: str | None, output: Path | None, pattern: str | None, hosts: Hosts
) -> Plan:
    """Files of a published dataset; the publisher is asked once, and the lock remembers what it said.

    Raises `FetchError` where the card names no source, nobody answers, or no file matches.
    """
    published = card.source
    if published is None:
        how = "is simulated" if card.simulation else "names no source"
        raise FetchError(f"dataset '{card.name}' {how}, so there is nothing to fetch")
    folder = output or fetched_folder(card)
    lock = read_lock(folder) or Lock(dataset=card.name, origin=shown_source(published))
    if lock.dataset != card.name:
        raise FetchError(f"{folder}: holds files of {lock.dataset}; choose another folder with --output")
    patterns = tuple(each.strip() for each in pattern.split(",")) if pattern else published.files
    if source is None:
        if lock.listed is None:
            lock = _listed(lock, card, published, folder, patterns, hosts)
        names = choose(tuple(lock.files), patterns or ("*",), where=lock.origin)
        files = tuple(lock.remote(name) for name in names)
    else:
        files = _from_source(card, published, lock, source, patterns)
    return Plan(name=card.name, files=files, output=folder, lock=lock, plain_http=source is not None)


def describe(plan: Plan) -> str:
    """What would be fetched: names, sizes, what is there, the place, and the space."""
    rows = []
    for file in plan.files:
        part = _size(part_of(plan.target(file)))
        state: str = plan.state(file)
        if state == "missing" and part:
            state = f"{shown_size(part)} are here"
        rows.append((file.name, shown_size(file.size), state, mask(str(file.local or next(iter(file.urls), "?")))))
    widths = [max(len(row[k]) for row in rows) for k in range(3)]
    lines = [
        f"{row[0].ljust(widths[0])}  {row[1].rjust(widths[1])}  {row[2].ljust(widths[2])}  {row[3]}" for row in rows
    ]
    total = shown_size(sum(file.size or 0 for file in plan.files))
    unknown = sum(file.size is None for file in plan.files)
    also = f" and {unknown} of unknown size" if unknown else ""
    existing = next(each for each in (plan.output, *plan.output.resolve().parents) if each.exists())
    free = shown_size(shutil.disk_usage(existing).free)
    return "\n".join(
        [
            *lines,
            f"{plan.name}: {len(plan.files)} files, {total}{also}; to {plan.output}",
            f"space: {shown_size(plan.space())} still needed there, {free} free",
        ]
    )


def by_hand(name: str, files: Sequence[RemoteFile], output: Path) -> str:
    """Commands that do the same without this program."""
    commands = [
        f"    curl -fL -C - --create-dirs -o {shlex.quote(str(output / file.name))} {shlex.quote(mask(file.urls[0]))}"
        for file in files
        if file.urls
    ]
    more = [f"    and so on for {len(commands) - _SHOWN} more files"] if len(commands) > _SHOWN else []
    return "\n".join(
        [
            *(["By hand, on a machine with a network:"] if commands else []),
            *commands[:_SHOWN],
            *more,
            f"Files that lie in a folder or at another address are taken by: jetassay fetch {name} --from PLACE",
        ]
    )


def _listed(lock: Lock, card: DatasetCard, source: Source, folder: Path, patterns: Sequence[str], hosts: Hosts) -> Lock:
    try:
        listing = ask_publisher(source, hosts)
    except UnreachableError as error:
        names = [name for name in expand(patterns) if not is_pattern(name)]
        files = [RemoteFile(name=name, urls=urls_of(name, source, hosts)) for name in names]
        page = f"\nThe files are listed at {card.url}." if card.url else ""
        raise UnreachableError(
            f"{lock.origin} does not answer: {error}{page}\n{by_hand(card.name, files, folder)}"
        ) from error
    return lock.joined(listing, when=datetime.now(UTC).isoformat(timespec="seconds"))


def _from_source(
    card: DatasetCard, published: Source, lock: Lock, source: str, patterns: Sequence[str]
) -> tuple[RemoteFile, ...]:
    """Files of a folder or below an address; what the lock or the card knows of them is compared."""
    folder = _folder(source)
    if folder is not None:
        there = tuple(
            path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file() and _data(path)
        )
        names = choose(there, patterns or ("*",), where=str(folder))
    else:
        names = _names_at_address(card.name, published, lock, patterns)
    files = []
    for name in names:
        safe_name(name, where=source)
        known = lock.remote(name) if name in lock.files else RemoteFile(name=name)
        pinned = published.md5.get(name.rsplit("/", 1)[-1])
        known = with_checks(known, {"md5": pinned} if pinned else {})
        files.append(_elsewhere(known, (name,), source))
    return _sized(files, plain_http=True)


def _names_at_address(name: str, published: Source, lock: Lock, patterns: Sequence[str]) -> tuple[str, ...]:
    """Names that can be asked for one by one; patterns choose among those that the card or the lock knows."""
    known = tuple(dict.fromkeys((*(each for each in expand(published.files) if not is_pattern(each)), *lock.files)))
    wanted = expand(patterns) if patterns else known
    if not wanted or (not known and any(is_pattern(each) for each in wanted)):
        raise FetchError(
            f"{name}: an address cannot be asked which files it has. Name them, for instance with "
            "--files 'Res2P_{0200..0249}.parquet'"
        )
    named = [choose(known, (each,), where=name) if is_pattern(each) else (each,) for each in wanted]
    return tuple(dict.fromkeys(each for some in named for each in some))


def _elsewhere(file: RemoteFile, names: Sequence[str], source: str) -> RemoteFile:
    """The same file from a folder or from below an address, under the first of its names that is there."""
    folder = _folder(source)
    if folder is None:
        return RemoteFile(
            name=file.name, urls=tuple(join(source, name) for name in names), size=file.size, checks=file.checks
        )
    for name in names:
        path = folder / name
        if path.is_file():
            return RemoteFile(name=file.name, local=path, size=path.stat().st_size, checks=file.checks)
    raise FetchError(f"{folder}: there is no file {' or '.join(names)}")


def _sized(files: list[RemoteFile], *, plain_http: bool) -> tuple[RemoteFile, ...]:
    """Sizes of files whose size nobody has said yet; the first that is missing is named before any is fetched."""
    open_ones = [file for file in files if file.local is None and file.size is None]
    sizes = ask_sizes([file.urls for file in open_ones], plain_http=plain_http)
    known = {file.name: size for file, size in zip(open_ones, sizes, strict=True)}
    return tuple(
        RemoteFile(
            name=file.name,
            urls=file.urls,
            local=file.local,
            size=known.get(file.name, file.size),
            checks=file.checks,
        )
        for file in files
    )


def _folder(source: str) -> Path | None:
    """The folder that the user named; None for an address. Raises `FetchError` for neither."""
    with plainly(f"--from {source}"):
        parts = urlsplit(source)
    if parts.scheme in {"http", "https"}:
        if parts.query or parts.fragment:
            raise FetchError(
                f"--from {source}: names are put behind the address, so it must end before any ? or #; fetch files "
                "that need a signed address by hand, and give their folder"
            )
        return None
    folder = Path(source).expanduser()
    if not folder.is_dir():
        raise FetchError(f"--from {source}: neither a folder nor an address that begins with https:// or http://")
    return folder


def _data(path: Path) -> bool:
    return path.name[0] not in "._" and not path.name.endswith((".part", ".json")) and ".wrong-hash" not in path.name


def _identity(weights: Weights) -> dict[str, str]:
    known = {"sha256": weights.sha256, "git_blob": weights.git_blob}
    return {kind: digest for kind, digest in known.items() if digest is not None}


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
