import os
import shutil
import statistics
import subprocess

import pytest

from skerry.testbed.links import BurstLoss, Conditions, End
from skerry.testbed.links.distribution import expected_delay_ms, quantiles
from skerry.testbed.links.netem import qdisc_words, veth_words, write_tables
from skerry.testbed.links.netem_words import distribution_table, limit_packets, netem_words

DISTRIBUTIONS = ["uniform", "normal", "pareto", "paretonormal"]
EXAMPLES = [
    Conditions(),
    Conditions(delay_ms=15, jitter_ms=3, loss_ratio=0.0024),
    Conditions(delay_ms=15, jitter_ms=3, jitter_distribution="pareto", jitter_correlation_ratio=0.25),
    Conditions(delay_ms=1, loss_burst=BurstLoss(enter_ratio=0.01, leave_ratio=0.25, good_loss_ratio=0.001)),
    Conditions(delay_ms=1, rate_mbps=20, queue_bytes=15_000, duplicate_ratio=0.01, reorder_ratio=0.05),
]


def test_conditions_are_said_in_the_words_of_tc():
    words = " ".join(netem_words(Conditions(delay_ms=15, jitter_ms=3, loss_ratio=0.0024, rate_mbps=20)))

    assert "delay 15.000000ms 3.000000ms 0.000000% distribution skerry-normal" in words
    assert "loss random 0.240000%" in words
    assert words.endswith("rate 20000000bit")


def test_bursts_are_said_in_the_order_of_tc():
    words = " ".join(netem_words(EXAMPLES[3]))

    assert "loss gemodel 1.000000% 25.000000% 100.000000% 0.100000%" in words


def test_packets_keep_their_order_behind_a_rate_unless_they_need_not():
    assert netem_words(Conditions(delay_ms=15, jitter_ms=3))[-1] == "100000000000bit"
    assert netem_words(Conditions(delay_ms=15, jitter_ms=3, jitter_reorders=True))[-1] == "0bit"
    assert netem_words(Conditions(delay_ms=15))[-1] == "0bit"


def test_the_limit_has_room_for_what_is_on_its_way():
    # 12,000 bytes wait, and 100 ms at 12 Mbit/s are 150,000 bytes.
    assert limit_packets(Conditions(delay_ms=100, rate_mbps=12, queue_bytes=12_000)) == 108


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_tables_have_mean_0_and_deviation_1(distribution):
    numbers = [int(word) for line in distribution_table(distribution).splitlines()[1:] for word in line.split()]

    assert len(numbers) == 4096
    assert abs(statistics.mean(numbers)) < 2
    assert statistics.pstdev(numbers) == pytest.approx(8192, rel=0.001)
    assert all(-32768 <= number <= 32767 for number in numbers)
    assert list(quantiles(distribution)) == sorted(quantiles(distribution))


def test_delays_below_zero_are_zero_and_the_expected_mean_says_so():
    assert expected_delay_ms(15, 3, "normal") == (pytest.approx(15), pytest.approx(3))
    mean_ms, deviation_ms = expected_delay_ms(1, 3, "normal")
    assert mean_ms > 1
    assert deviation_ms < 3


def test_a_pair_is_made_between_two_namespaces():
    first = End(namespace="a", interface="to-b", address="10.0.0.1")
    second = End(namespace=None, interface="to-a", address="10.0.0.2")

    assert " ".join(veth_words(first, second)) == "ip link add to-b netns a type veth peer name to-a"


@pytest.mark.skipif(shutil.which("tc") is None, reason="no tc on this machine")
@pytest.mark.parametrize("conditions", EXAMPLES)
def test_tc_understands_every_word(conditions, tmp_path):
    write_tables(tmp_path)
    words = qdisc_words("add", None, "no-such-device", netem_words(conditions))

    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env={**os.environ, "TC_LIB_DIR": str(tmp_path)}
    )

    # It reads all words and the table before it looks for the device.
    assert "Cannot find device" in done.stderr, done.stderr
