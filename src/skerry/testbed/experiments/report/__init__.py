"""The report of a run: one HTML file with everything in it, nothing fetched from anywhere."""

from skerry.testbed.experiments.report.comparison import compare_results, compare_to_json
from skerry.testbed.experiments.report.page import render_comparison, render_report

__all__ = ["compare_results", "compare_to_json", "render_comparison", "render_report"]
