"""A run of `make throughput` as text."""

import re

from jetassay.speed_text import render_session
from measured_speeds import SESSION, benchmark_of


def test_the_table_has_a_row_for_each_backbone_and_columns_by_batch_size():
    lines = render_session(SESSION).splitlines()
    assert lines[0] == "jets/s by jets in a batch (1 thread, float32, cpu)"
    assert re.split(r"\s{2,}", lines[1].strip()) == ["16", "256", "256 weaver", "sorted"]
    assert re.split(r"\s{2,}", lines[2]) == ["part-mini", "86.4 ±5%", "1,234 ±5%", "400 ±5%", "2,000 ±5%"]
    assert re.split(r"\s{2,}", lines[3]) == ["mlp", "98,765 ±5%", "-", "-", "-"]


def test_columns_of_numbers_end_together():
    table = render_session(SESSION).splitlines()[1:4]
    assert len({len(line) for line in table}) == 1


def test_stages_and_what_was_not_measured_and_the_machine_stand_below():
    text = render_session(SESSION)
    assert "reading  30,000 ±5%  6,000 jets, a ROOT file" in text
    assert "not measured\nsophon  weights missing" in text
    assert text.endswith(
        "Some Processor; 2 cores; load average 0.2 before and 1.5 after; torch 2.13.0; commit 0123456789 and changes; "
        "2026-01-02T03:04:05 UTC"
    )


def test_a_session_of_one_stage_and_no_facts_has_no_empty_blocks():
    text = render_session({"benchmarks": [benchmark_of("bench_cka", 5.0, jets=10)]})
    assert text.startswith("jets/s of the stages alone\ncka  5.00 ±5%  10 jets\n")
    assert "not measured" not in text
