import re
from html.parser import HTMLParser

import pytest

from skerry.errors import DataError
from skerry.pages.words import say
from skerry.testbed.experiments import read_results
from skerry.testbed.experiments.estimates import Interval
from skerry.testbed.experiments.measures import PHASES
from skerry.testbed.experiments.records import FILE
from skerry.testbed.experiments.report import compare_results, compare_to_json, render_comparison, render_report
from skerry.testbed.experiments.report.charts import draw_stacks
from skerry.testbed.experiments.report.words import say_difference, say_interval, say_ratio
from skerry.testbed.experiments.training_6g.conclusions import conclude
from support.experiment_results import ARMS, write_run

pytestmark = pytest.mark.timeout(300)  # the library that draws takes its time on a machine that sees it first


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open = []
        self.ids = []
        self.addresses = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids.extend([values["id"]] if "id" in values else [])
        self.addresses.extend(
            values[key] for key in ("src", "href", "xlink:href", "srcset", "action") if values.get(key)
        )
        if tag not in ("meta", "br", "link", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in ("meta", "br", "link", "img"):
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parse(page):
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    return tags


def test_a_report_is_one_file_that_needs_nothing_else(tmp_path):
    page = render_report(read_results(write_run(tmp_path / "run")))
    tags = parse(page)
    assert all(address.startswith("#") for address in tags.addresses)
    assert not re.search(r"@import|url\((?!#)|<script|<link", page)
    assert len(tags.ids) == len(set(tags.ids))
    assert page.count("<svg") == 2
    assert '<meta name="viewport"' in page


def test_what_is_written_by_others_is_text_and_nothing_else(tmp_path):
    page = render_report(read_results(write_run(tmp_path / "run", failed=True)))
    assert "Is &lt;b&gt;this&lt;/b&gt; safe?" in page
    assert "edge-split &lt;did&gt; it" in page
    assert "it &lt;broke&gt;" in page
    assert "near &amp; &lt;twice&gt;" in page


def test_a_report_that_is_made_again_says_the_same(tmp_path):
    folder = write_run(tmp_path / "run", repeats=3)
    assert render_report(read_results(folder)) == render_report(read_results(folder))


def test_a_run_that_was_interrupted_is_reported_as_far_as_it_went(tmp_path):
    folder = write_run(tmp_path / "run")
    content = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(content[: len(content) // 2])
    parse(render_report(read_results(folder)))


def test_there_is_no_report_of_nothing(tmp_path):
    with pytest.raises(DataError, match="no trial"):
        render_report(read_results(write_run(tmp_path / "run", repeats=0)))


def test_phases_are_drawn_to_add_up():
    rows = {arm: {phase: 0.5 for phase in PHASES} for arm in ARMS}
    svg = draw_stacks(rows, name="phases", title="phases")
    assert svg.count("3.5 s") >= len(ARMS)


def test_runs_with_one_seed_are_compared_in_pairs(tmp_path):
    before = read_results(write_run(tmp_path / "a"))
    after = read_results(write_run(tmp_path / "b", factor=2.0))
    compared = {(one.arm, one.measure): one for one in compare_results(before, after)}
    found = compared["cloud", "response_time_s"]
    assert found.is_paired
    assert (found.ratio.low, found.ratio.estimate, found.ratio.high) == pytest.approx((2, 2, 2))
    assert compared["cloud", "test_accuracy"].ratio.estimate == 1
    page = render_comparison(before, after, ("a", "b"))
    parse(page)
    document = compare_to_json(before, after)
    assert document["arms"]["cloud"]["response_time_s"]["ratio"]["estimate"] == pytest.approx(2)


def test_medians_beside_a_paired_ratio_are_over_the_repeats_that_both_runs_have(tmp_path):
    before = read_results(write_run(tmp_path / "a", repeats=3))
    after = read_results(write_run(tmp_path / "b", repeats=5, factor=2.0))
    found = next(one for one in compare_results(before, after) if one.measure == "response_time_s")
    assert found.counts == (3, 3)
    assert found.after / found.before == pytest.approx(found.ratio.estimate) == pytest.approx(2)


def test_runs_with_other_seeds_are_not_paired(tmp_path):
    before = read_results(write_run(tmp_path / "a"))
    after = read_results(write_run(tmp_path / "b", factor=2.0, seed=2))
    found = next(one for one in compare_results(before, after) if one.measure == "response_time_s")
    assert not found.is_paired
    assert found.ratio.low < found.ratio.estimate < found.ratio.high


def test_conclusions_name_what_does_not_come_out_too(tmp_path):
    said = " ".join(conclude(read_results(write_run(tmp_path / "run"))))
    assert "The bar of 0.75 is met" in said
    assert "the bar of 1/8 is not met" in said
    assert "They are not the paper's 3,150" in said


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0.00012, "s", "0.12 ms"),
        (0.0123, "s", "12.3 ms"),
        (0.9997, "s", "1 s"),
        (3.456, "s", "3.46 s"),
        (345.6, "s", "346 s"),
        (0.9234, "ratio", "92.3 %"),
        (1_234_567, "bytes", "1.23 MB"),
        (999_600, "bytes", "1 MB"),
        (12, "bytes", "12 B"),
        (3.0, "count", "3"),
        (2.5, "count", "2.50"),
    ],
)
def test_numbers_are_said_in_three_digits_or_so(value, unit, words):
    assert say(value, unit) == words


def test_intervals_are_said_with_their_bounds():
    interval = Interval(estimate=0.5, low=0.25, high=1.0)
    assert say_interval(interval, "s") == "500 ms (250 ms to 1 s)"
    assert say_ratio(interval) == "0.50 (0.25 to 1.00)"
    assert say_difference(Interval(estimate=-0.02, low=-0.03, high=0.01), "ratio") == (
        "-2.0 points (-3.0 points to +1.0 points)"
    )
    assert say_interval(Interval(estimate=2.0, low=2.0, high=2.0), "s") == "2 s"


@pytest.mark.parametrize(("repeats", "is_warned"), [(2, True), (5, False)])
def test_few_repeats_are_told_to_be_few(tmp_path, repeats, is_warned):
    page = render_report(read_results(write_run(tmp_path / "run", repeats=repeats)))
    assert ("verdicts are hints" in page) == is_warned


def test_nothing_is_concluded_from_the_accuracy_of_made_up_articles(tmp_path):
    said = " ".join(conclude(read_results(write_run(tmp_path / "run"))))
    assert "mean nothing" in said
    assert "Median accuracy" not in said
