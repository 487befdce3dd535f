"""Carrying out a fetch: file by file, each resumed, verified, put in place, and unpacked where it is an archive."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from jetassay.backbones.catalogue import backbone_cards
from jetassay.errors import FetchError, StoreError, UnknownNameError
from jetassay.fetching.archive import unpack
from jetassay.fetching.connection import UnreachableError
from jetassay.fetching.download import Download, Patience, forget_part, part_of, require_space
from jetassay.fetching.listing import Hosts
from jetassay.fetching.lock import LockedFile, agrees
from jetassay.fetching.plan import Plan, by_hand, plan_dataset, plan_weights
from jetassay.fetching.remote import RemoteFile
from jetassay.fetching.verify import KINDS, difference, digests
from jetassay.jets.catalogue import dataset_cards
from jetassay.masking import mask
from jetassay.progress import Reporter
from jetassay.whole_files import whole_file

_MB = 1_000_000
_STEP = 1 << 20


def plan_fetch(
    name: str,
    *,
    source: str | None = None,
    output: Path | None = None,
    pattern: str | None = None,
    hosts: Hosts | None = None,
) -> Plan:
    """What fetching the weights of a backbone, or the files of a dataset, means.

    source:  a folder or an address to take files from instead of the publisher
    output:  the folder for them; by default where backbones and suites look
    pattern: names of a dataset's files, with `*` and `{0..9}`, commas between them

    Raises `UnknownNameError` where there is neither a backbone nor a dataset of that name, and `FetchError`.
    """
    cards, datasets = backbone_cards(), dataset_cards()
    if name in cards:
        if pattern is not None:
            raise FetchError(f"{name}: weights are one file; --files is for datasets")
        return plan_weights(cards[name], source=source, output=output)
    if name in datasets:
        return plan_dataset(datasets[name], source=source, output=output, pattern=pattern, hosts=hosts or Hosts())
    problems = []
    for registry in (cards, datasets):
        try:
            registry[name]
        except UnknownNameError as error:
            problems.append(str(error))
    raise UnknownNameError("\n".join(problems))


def carry_out(plan: Plan, *, reporter: Reporter, patience: Patience | None = None) -> Path:
    """Bring every file of a plan to its folder; gives the file of weights, or the folder of a dataset.

    What is there already is verified, not fetched again.

    Raises `FetchError` for what cannot be had or is not the file, and `StoreError` for what cannot be written; what
    was done by then is kept, and the next call goes on from there.
    """
    with _alone(plan.output):
        require_space(plan.output, plan.space(), what=plan.name)
        if plan.lock is not None:
            plan.lock.save(plan.output)
        try:
            with _megabytes(plan, reporter) as advance:
                for file in plan.files:
                    plan = _bring(plan, file, advance, reporter, patience or Patience())
        except UnreachableError as error:
            raise UnreachableError(f"{error}\n{by_hand(plan.name, plan.files, plan.output)}") from error
    return plan.output if plan.lock is not None else plan.target(plan.files[0])


def _bring(
    plan: Plan, file: RemoteFile, advance: Callable[[int], None], reporter: Reporter, patience: Patience
) -> Plan:
    """One file, and the plan with what is known of it afterwards."""
    state = plan.state(file)
    if state == "unpacked":
        advance(2 * (file.size or 0))
        reporter.line(f"{file.name}: unpacked already")
        return plan
    target = plan.target(file)
    if state == "here":
        advance(file.size or 0)
        plan = _verify_target(plan, file, target, reporter)
    elif file.local is not None:
        found = _verified(file, file.local)
        if plan.unpacks(file):
            target = file.local  # unpacked from where it lies
            advance(file.size or 0)
        else:
            _copy(file.local, target, advance)
        plan = _note(plan, file, target, found, source=str(file.local), reporter=reporter)
    else:
        url, found = _download(plan, file, target, advance, reporter, patience)
        part_of(target).rename(target)
        forget_part(target)
        plan = _note(plan, file, target, found, source=url, reporter=reporter)
    if plan.unpacks(file):
        plan = _unpack(plan, file, target, advance, reporter)
    return plan


def _download(
    plan: Plan,
    file: RemoteFile,
    target: Path,
    advance: Callable[[int], None],
    reporter: Reporter,
    patience: Patience,
) -> tuple[str, dict[str, str]]:
    """The whole, verified file under its name for parts; gives the mirror and the hashes.

    A file that was put together from two connections and is wrong is fetched once more from its first byte. A mirror
    that gives another file is left for the next one; what it gave is kept under a name that says so.
    """
    part, urls = part_of(target), file.urls
    resumed = part.is_file()
    while True:
        remote = RemoteFile(name=file.name, urls=urls, size=file.size, checks=file.checks)
        url = Download(remote, target, reporter, plain_http=plan.plain_http, patience=patience, advance=advance).run()
        found = digests(part, {*KINDS, *file.checks})
        wrong = difference(found, file.checks)
        if wrong is None:
            return url, found
        advance(-part.stat().st_size)
        if resumed:
            reporter.warning(
                f"{file.name}: what was here and what came do not fit together; fetching it from the start"
            )
            forget_part(target)
            resumed = False
            continue
        kept = _keep_wrong(target)
        urls = urls[urls.index(url) + 1 :]
        message = f"{file.name}: {url} gives another file than expected: {wrong}. It is kept as {kept}"
        if not urls:
            raise FetchError(
                f"{message}. Try again later or from elsewhere with --from; if it stays so, tell who publishes it, and "
                "do not use the file"
            )
        reporter.warning(f"{message}; trying the next mirror")


def _keep_wrong(target: Path) -> Path:
    """Give what was fetched a name that says that it is not the file; nothing is overwritten."""
    numbers = iter(range(1, 10_000))
    kept = target.with_name(f"{target.name}.wrong-hash")
    while kept.exists():
        kept = target.with_name(f"{target.name}.wrong-hash-{next(numbers)}")
    part_of(target).rename(kept)
    forget_part(target)
    return kept


def _verify_target(plan: Plan, file: RemoteFile, target: Path, reporter: Reporter) -> Plan:
    """A file that is there: unchanged since it was verified, or verified now. It is the user's: never touched."""
    known = plan.lock.files.get(file.name) if plan.lock else None
    if known is not None and known.mtime_ns == target.stat().st_mtime_ns and known.size == target.stat().st_size:
        reporter.line(f"{target}: here, unchanged since it was verified")
        return plan
    found = _verified(file, target)
    reporter.line(f"{target}: here" + (" and verified" if file.checks else ""))
    return _note(plan, file, target, found, source=known.source if known and known.source else "", reporter=reporter)


def _verified(file: RemoteFile, path: Path) -> dict[str, str]:
    """All hashes of a file that somebody put there. Raises `FetchError` where it is another than expected."""
    found = digests(path, {*KINDS, *file.checks})
    wrong = difference(found, file.checks)
    size = path.stat().st_size
    if wrong is None and file.size not in {None, size}:
        wrong = f"{size} bytes instead of {file.size}"
    if wrong is not None:
        raise FetchError(
            f"{path}: is not the file that is expected under this name: {wrong}. It was left as it is: move it away, "
            "and fetch again"
        )
    return found


def _note(plan: Plan, file: RemoteFile, path: Path, found: dict[str, str], *, source: str, reporter: Reporter) -> Plan:
    """Remember in the lock what a file was when it was verified."""
    if not file.checks:
        reporter.warning(
            f"{file.name}: nobody said what its hash is; sha256 {found['sha256']}"
            + (" is noted and compared from now on" if plan.lock else "")
        )
    if plan.lock is None:
        return plan
    before = plan.lock.files.get(file.name, LockedFile())
    agrees(before.checks, found, file.name)
    status = path.stat()
    after = before.model_copy(
        update={
            "size": status.st_size,
            "checks": {**before.checks, **{kind: found[kind] for kind in KINDS}},
            "source": mask(source) or None,
            "mtime_ns": status.st_mtime_ns,
        }
    )
    return _locked(plan, file.name, after)


def _unpack(plan: Plan, file: RemoteFile, path: Path, advance: Callable[[int], None], reporter: Reporter) -> Plan:
    """Unpack, remember what came out, and remove the archive if it was downloaded by us."""
    assert plan.lock is not None
    members = unpack(path, plan.output, advance=advance)
    known = plan.lock.files[file.name].model_copy(update={"members": {each.name: each.size for each in members}})
    plan = _locked(plan, file.name, known)
    if path == plan.target(file) and known.source is not None and known.source.startswith(("http://", "https://")):
        path.unlink()
    reporter.line(f"{file.name}: {len(members)} files unpacked into {plan.output}")
    return plan


def _locked(plan: Plan, name: str, file: LockedFile) -> Plan:
    assert plan.lock is not None
    lock = plan.lock.with_file(name, file)
    lock.save(plan.output)
    return Plan(name=plan.name, files=plan.files, output=plan.output, lock=lock, plain_http=plan.plain_http)


def _copy(source: Path, target: Path, advance: Callable[[int], None]) -> None:
    with whole_file(target) as partial, source.open("rb") as stream, partial.open("wb") as out:
        while block := stream.read(_STEP):
            out.write(block)
            advance(len(block))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One fetch at a time into one folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".fetching.lock", timeout=0):
            yield
    except Timeout as error:
        raise FetchError(f"{folder}: another fetch is at work there; wait until it is done") from error
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot be written: {error.strerror}. Choose another place with --output"
        ) from error


@contextmanager
def _megabytes(plan: Plan, reporter: Reporter) -> Iterator[Callable[[int], None]]:
    """A bar over all bytes of the plan, those of archives counted twice: fetched, and unpacked."""
    work = sum((file.size or 0) * (2 if plan.unpacks(file) else 1) for file in plan.files)
    total = max(-(-work // _MB), 1)
    done = shown = 0
    with reporter.bar(f"fetching {plan.name}", total, unit="MB") as bar:

        def advance(amount: int) -> None:
            nonlocal done, shown
            done += amount
            now = min(max(done, 0) // _MB, total)
            if now != shown:
                bar.advance(now - shown)
                shown = now

        yield advance
