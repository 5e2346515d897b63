"""The figures of the kit: medians, spreads, pairs, and what strace's lines say."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

import pytest
from bench.__main__ import counts, size
from bench.accounting import count_syncs, cpu_s, reset_peak, rss_mib, tree
from bench.summary import Spread, pair_ratio, spread
from bench.targets import Variant, variant
from bench.text import number
from bench.workloads import WORKLOADS, chosen
from bench.workloads.small import MIX


def test_a_spread_is_the_median_between_the_least_and_the_greatest():
    assert spread([5, None, 1, 3, 100]) == Spread(4, 1, 100)


def test_no_values_have_no_spread():
    assert spread([None, None]) is None


def test_a_ratio_is_taken_round_by_round_and_not_of_medians():
    assert pair_ratio([10, 40, 30], [10, 20, 10]) == Spread(2, 1, 3)


def test_a_round_that_one_of_a_pair_lacks_is_left_out_of_both():
    assert pair_ratio([None, 40, 30], [10, 20, None]) == Spread(2, 2, 2)
    assert pair_ratio([1, 1], [None, 0]) is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (0.01234, "0.012"),
        (0.5, "0.50"),
        (9.994, "9.99"),
        (42.42, "42.4"),
        (1234.5, "1234"),
        (1_186_578, "1187k"),
    ],
)
def test_a_number_is_shown_in_what_can_be_read(value, shown):
    assert number(value) == shown


def test_each_call_that_waits_for_the_disk_counts_once():
    lines = [
        "11 fdatasync(7</d/data>) = 0",
        "12 fsync(8</d/other> <unfinished ...>",
        "11 pwrite64(9</d/data>, ..., 4096, 0) = 4096",
        "12 <... fsync resumed>) = 0",
        "11 pwrite64(10</d/data>, ..., 120, 64) = 120",
        "11 msync(0x7f0000000000, 4096, MS_ASYNC) = 0",
        "11 msync(0x7f0000000000, 4096, MS_SYNC) = 0",
    ]
    assert count_syncs(lines, frozenset({"10</d/data>"})) == 4


def test_the_cpu_of_a_process_is_seen_with_that_of_its_threads_and_children_that_have_ended():
    burn = "import time; end = time.process_time() + 0.2\nwhile time.process_time() < end: pass"
    program = (
        "import subprocess, sys, threading, time\n"
        f"burn = {burn!r}\n"
        "thread = threading.Thread(target=lambda: exec(burn)); thread.start(); thread.join()\n"
        "subprocess.run([sys.executable, '-c', burn])\n"
        "print('done', flush=True); sys.stdin.read()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1, text=True)
    try:
        assert process.stdout.readline() == "done\n"
        assert cpu_s(tree(process.pid)) >= 0.39
    finally:
        process.communicate()


def test_a_process_that_is_gone_has_used_nothing():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert (cpu_s([process.pid]), rss_mib([process.pid], is_peak=True)) == (0, 0)
    reset_peak([process.pid])


def test_the_peak_of_memory_can_be_begun_anew():
    program = "import sys\nx = bytearray(64 << 20)\ndel x\nprint('up', flush=True)\nsys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1, text=True)
    try:
        process.stdout.readline()
        before = rss_mib([process.pid], is_peak=True)
        reset_peak([process.pid])
        assert before - rss_mib([process.pid], is_peak=True) > 50
    finally:
        process.communicate()


def test_a_processs_descendants_are_found():
    process = subprocess.Popen(["sh", "-c", "sleep 60 & echo up; wait"], stdout=-1, text=True)
    process.stdout.readline()
    found = tree(process.pid)
    try:
        assert (found[0], len(found)) == (process.pid, 2)
    finally:
        for pid in reversed(found):
            os.kill(pid, 9)
        process.communicate()
        time.sleep(0)


def test_a_variant_says_its_flags_and_what_it_syncs():
    both = variant("anys3:relaxed,workers=2")
    assert both == Variant(workers=2, is_relaxed=True)
    assert both.flags == ["--workers", "2", "--durability", "relaxed"]
    assert variant("anys3").syncs.startswith("yes")
    assert both.syncs.startswith("no")
    assert variant("anys3:memory").syncs.startswith("no")


@pytest.mark.parametrize("name", ["anys3:fast", "anys3:workers=0", "anys3:workers=two"])
def test_a_variant_that_is_none_is_refused_by_its_word(name):
    with pytest.raises(RuntimeError, match="is no target"):
        variant(name)


def test_the_mix_is_what_it_says():
    assert {letter: MIX.count(letter) / len(MIX) for letter in "GHPD"} == {
        "G": 0.45,
        "H": 0.30,
        "P": 0.15,
        "D": 0.10,
    }


def test_a_name_before_the_slash_chooses_the_workloads_of_all_clients():
    assert [workload.name for workload in chosen(["sdk-upload", "head"])] == [
        "sdk-upload/boto3",
        "sdk-upload/aws",
        "sdk-upload/s5cmd",
        "head",
    ]
    assert len(chosen([])) == len(WORKLOADS)


def test_a_workload_that_is_none_is_answered_with_those_there_are():
    with pytest.raises(RuntimeError, match="'get-5k' is no workload; there are get-4k, head"):
        chosen(["get-5k"])


def test_sizes_and_connections_are_read():
    assert (size("4096"), size("16m"), size("1GiB"), counts("1,64")) == (4096, 16 << 20, 1 << 30, (1, 64))


@pytest.mark.parametrize(("read", "text"), [(size, "1t"), (size, ""), (counts, "1,,2"), (counts, "0")])
def test_what_is_no_size_or_number_is_refused(read, text):
    with pytest.raises(argparse.ArgumentTypeError):
        read(text)
