"""The scripts in examples/, submitted to the stand-ins: real suites over one cache."""

import os
import shlex
import subprocess

import pytest
from places_of_runs import SOURCE, wait_until

pytestmark = pytest.mark.slow
EXAMPLES = SOURCE.parent / "examples"


@pytest.fixture
def submit(place, batch):
    """Run a line of shell in the place's folder, as the documentation has it; gives what it prints."""
    (place.root / "examples").symlink_to(EXAMPLES)
    for name, backbone in (("one", "tiny-1"), ("other", "tiny-2")):
        text = place.suite.read_text().partition("[similarity]")[0]
        text = text.replace('name = "tiny"', f'name = "{name}"', 1).replace('"tiny-1", "tiny-2"', f'"{backbone}"')
        (place.root / f"{name}.toml").write_text(text)

    def run(line):
        done = subprocess.run(
            ["bash", "-ec", line],
            env=place.environment() | batch | {"HOME": str(place.root)}, cwd=place.root,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


def ended(place, count):
    """The exit codes of all jobs, once they are there."""
    wait_until(lambda: len(list((place.root / "jobs").glob("*/code"))) == count, seconds=180)
    return [int((folder / "code").read_text()) for folder in place.jobs()]


def said(place, ending):
    return "\n".join(path.read_text() for path in place.root.glob(f"jetassay-*.{ending}"))


def test_a_slurm_array_and_the_suite_that_waits_for_it_give_the_bits_of_one_process(place, submit, undisturbed):
    submit(
        "first=$(sbatch --parsable --array=0-1 examples/slurm.sh one.toml other.toml)\n"
        f"sbatch --dependency=afterok:$first examples/slurm.sh {shlex.quote(place.suite.name)}"
    )
    assert ended(place, 2) == [0, 0], said(place, "log")
    last = max(place.root.glob("jetassay-*_0.log"), key=os.path.getmtime).read_text()
    assert last.count("8 of 8 shards taken from the store") == 2  # of both backbones: nothing was computed again
    assert place.results() == undisturbed


def test_jobs_of_htcondor_give_the_bits_of_one_process(place, submit, undisturbed):
    (place.root / "suites.txt").write_text(f"one.toml\n{place.suite.name}\n")
    submit("condor_submit examples/htcondor.sub")
    assert ended(place, 1) == [0], said(place, "err")
    assert place.results() == undisturbed
