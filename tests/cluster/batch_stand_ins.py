"""Stand-ins for SLURM and HTCondor: jobs run on this machine, at once, as far as the scripts under test can tell.

    batch_stand_ins.py sbatch|scancel|condor_submit|condor_rm ARGUMENTS

BATCH_STATE is a folder: the text of each job as it was submitted, what it printed, and the process that leads it. As in
the real ones, a job's script is a copy, SLURM hands the environment on, HTCondor hands on only what `getenv` names, and
cancelling sends SIGTERM and after a few seconds SIGKILL.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

GRACE_S = 5


def main(name, *arguments):
    """What the command `name` does; gives its exit code."""
    state = Path(os.environ["BATCH_STATE"])
    commands = {"sbatch": sbatch, "scancel": cancel, "condor_submit": condor_submit, "condor_rm": cancel}
    return commands[name](state, arguments)


def new_job(state):
    """A number that no job has had; its folder is there."""
    for number in range(1000, 9999):
        with contextlib.suppress(FileExistsError):
            (state / str(number)).mkdir(parents=True)
            return number
    raise RuntimeError("too many jobs")


def run_later(folder, *, after, tasks):
    """In a process of its own: wait for jobs `after` to end well, then run each (command, environment, output)."""
    if os.fork():
        return
    os.setsid()
    with Path(os.devnull).open("r+b") as null:  # whoever reads what the submit command prints must not wait for the job
        for number in (0, 1, 2):
            os.dup2(null.fileno(), number)
    (folder / "pid").write_text(str(os.getpid()))
    while not all((each / "code").exists() for each in after):
        time.sleep(0.05)
    codes = [int((each / "code").read_text()) for each in after]
    if not any(codes):
        started = []
        for number, (command, environment, output) in enumerate(tasks):
            with output.open("a") as log:
                process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            (folder / f"task-{number}").write_text(str(process.pid))
            started.append(process)
        codes = [process.wait() for process in started]
    (folder / "code").write_text(str(max(map(abs, codes))))
    os._exit(0)


def sbatch(state, arguments):
    """sbatch [--parsable] [--array=A-B] [--dependency=afterok:ID] SCRIPT ARGUMENTS."""
    options = [each for each in arguments if each.startswith("--")]
    script, *given = [each for each in arguments if not each.startswith("--")]
    number = new_job(state)
    folder = state / str(number)
    copy = folder / "script"
    shutil.copy(script, copy)
    copy.chmod(0o700)
    told = [*re.findall(r"^#SBATCH (--\S+)", copy.read_text(), flags=re.MULTILINE), *options]
    chosen = dict(each[2:].partition("=")[::2] for each in told)
    array = re.fullmatch(r"(\d+)-(\d+)", chosen.get("array", ""))
    tasks = []
    for task in range(int(array[1]), int(array[2]) + 1) if array else [None]:
        environment = os.environ | {"SLURM_JOB_ID": str(number), "SLURM_CPUS_PER_TASK": chosen["cpus-per-task"]}
        if task is not None:
            environment["SLURM_ARRAY_TASK_ID"] = str(task)
        pattern = chosen.get("output", str(folder / "output"))
        output = pattern.replace("%A", str(number)).replace("%a", str(0 if task is None else task))
        tasks.append(([str(copy), *given], environment, Path(output)))
    after = [state / each for each in re.findall(r"\d+", chosen.get("dependency", ""))]
    print(number if "parsable" in chosen else f"Submitted batch job {number}", flush=True)
    run_later(folder, after=after, tasks=tasks)
    return 0


def condor_submit(state, arguments):
    """condor_submit FILE: `queue`, or `queue NAME from FILE`."""
    number = new_job(state)
    folder, text = state / str(number), Path(arguments[-1]).read_text()
    (folder / "script").write_text(text)
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    settings = {key.strip().lower(): value.strip() for key, _, value in (each.partition("=") for each in lines[:-1])}
    queue = lines[-1].split()
    rows = Path(queue[3]).read_text().split() if len(queue) == 4 else [""]
    names = re.split(r"[,\s]+", settings.get("getenv", ""))
    environment = {name: os.environ[name] for name in (*names, "BATCH_STATE") if name in os.environ}
    environment["_CONDOR_NUM_CPUS"] = settings.get("request_cpus", "1")
    tasks = []
    for process, row in enumerate(rows):
        filled = {"Cluster": str(number), "Process": str(process), **({queue[1]: row} if len(queue) == 4 else {})}
        output = _filled(settings.get("output", str(folder / "output")), filled)
        command = [settings["executable"], *_arguments(_filled(settings.get("arguments", ""), filled))]
        tasks.append((command, environment, Path(output)))
    print(f"Submitting job(s).\n{len(rows)} job(s) submitted to cluster {number}.", flush=True)
    run_later(folder, after=[], tasks=tasks)
    return 0


def _filled(text, values):
    return re.sub(r"\$\((\w+)\)", lambda found: values.get(found[1], found[0]), text)


def _arguments(text):
    """As HTCondor reads them: in double quotes, with '...' around what has spaces, and quotes doubled."""
    if not text.startswith('"'):
        return text.split()
    inner = text[1:-1].replace('""', '"')
    words = re.findall(r"(?:'(?:[^']|'')*'|[^'\s])+", inner)
    return [
        re.sub(r"'((?:[^']|'')*)'", lambda quoted: quoted[1].replace("''", "\0"), word).replace("\0", "'")
        for word in words
    ]


def cancel(state, arguments):
    """scancel ID, condor_rm ID.PROCESS."""
    folder = state / arguments[-1].partition(".")[0]
    (folder / "cancelled").touch()
    if (folder / "code").exists():
        print("the job is gone", file=sys.stderr)
        return 1
    leader = int((folder / "pid").read_text())
    for path in folder.glob("task-*"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(path.read_text()), signal.SIGTERM)
    until = time.monotonic() + GRACE_S
    while not (folder / "code").exists() and time.monotonic() < until:
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
