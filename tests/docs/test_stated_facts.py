"""Facts that the documentation states and the code holds are the same in both."""

import re

import pandas as pd
import pytest
from documented import pages

from jetassay.audit.catalogue import CHECKS
from jetassay.places import project_root
from jetassay.tasks.catalogue import TASKS

SECTIONS = {
    "Probe": ["probe"],
    "Zero-shot": ["zero-shot"],
    "Similarity": ["similarity"],
    "Similarity families": ["similarity-families"],
    "Layers": ["layers"],
    "Shuffled labels": ["shuffled-labels"],
    "Robustness": ["robustness"],
    "Bins of jet variables": ["bins"],
    "Mass sculpting": ["sculpting"],
    "Calibration": ["calibration"],
    "Content": ["content"],
    "Comparison": ["comparison"],
    "Stability": ["stability"],
    "Nearest neighbours": ["knn"],
    "A hidden layer": ["mlp-probe"],
    "Multiclass probe": ["multiclass"],
    "Few-shot": ["few-shot"],
    "Map": ["map"],
}


def test_the_protocol_has_every_task_in_its_version():
    text = pages()["docs/protocol.md"].read_text()
    stated = dict(re.findall(r"^## (.+) \(version (\d+)(?: each)?\)$", text, re.MULTILINE))
    found = {task: int(version) for section, version in stated.items() for task in SECTIONS[section]}
    assert found == {name: TASKS[name].version for name in TASKS}


def test_the_readme_counts_what_there_is():
    text = pages()["README.md"].read_text()
    published = pd.read_csv(project_root() / "src" / "jetassay" / "report" / "published_numbers.csv", comment="#")
    assert re.search(r"makes (\d+) checks", text)[1] == str(len(CHECKS))
    assert re.search(r"prints (\d+) with sources", text)[1] == str(len(published))


@pytest.mark.parametrize("check", list(CHECKS))
def test_the_audit_page_explains_every_check_and_marks_leaks(check):
    row = re.search(rf"^\| `{check}`(.*?) \|", pages()["docs/audit.md"].read_text(), re.MULTILINE)
    assert row, check
    assert ("leak" in row[1]) == CHECKS[check].leak
