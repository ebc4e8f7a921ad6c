import pytest

from benchmarks.network.recordings import recorded_windows
from skerry.network.detection import BaselineDetector, Panel, SlowDetector, StrayDetector
from support.recordings import shared_data


@pytest.mark.parametrize(("folder", "least"), [("pcap_normal", 300), ("pcap_iot_normal", 3000)])
def test_recordings_of_ordinary_traffic_raise_no_alarm(folder, least):
    windows = 0
    for path in sorted(shared_data(folder).glob("*.pcap.gz")):
        detector = Panel([BaselineDetector(), StrayDetector(), SlowDetector()])
        for window in recorded_windows(path):
            verdict = detector.judge(window)
            assert not verdict.alarm, f"{path.name}: {verdict.reason}"
            detector.learn(window)
            windows += 1

    assert windows > least
