import pytest

from skerry.errors import ConfigError
from skerry.network.actions import Flag, Protocol
from skerry.network.detection import FEATURES, BaselineDetector, BaselineRules, Panel, Slice, TreesDetector
from support.traffic import VICTIM, amplification, clients, seeded, syn_flood, window


def learned(detector, *, windows=60):
    random = seeded(1)
    for _ in range(windows):
        detector.learn(window(clients(random.randrange(5, 30), packets=random.randrange(10, 40))))
    return detector


def crowd(count=3000):
    """Return many new clients that are answered, packet by packet, as an exporter without a cache tells it."""
    slices = []
    for item in clients(count):
        for flags, packets in ((Flag.SYN, 1), (Flag.ACK, 10), (Flag.ACK | Flag.FIN, 1)):
            slices.append(
                Slice(
                    source=item.source,
                    protocol=Protocol.TCP,
                    flags=flags,
                    length_bytes=60,
                    packets=packets,
                    source_port=item.source_port,
                    destination_port=80,
                )
            )
    return slices


def test_a_window_has_the_features_that_detectors_are_promised():
    features = window(clients(2, packets=10), syn_flood(seeded(), count=4, packets=5), length_s=2.0).features

    assert tuple(features) == FEATURES
    assert features["packets_per_s"] == 20
    assert features["opening_per_s"] == 10
    assert features["opening_ratio"] == 20 / 30
    assert features["sources"] == 6
    assert window().features["entropy_bits"] == 0


@pytest.mark.parametrize("attack", [syn_flood(seeded()), amplification(seeded())], ids=["opening", "amplified"])
def test_a_flood_raises_an_alarm(attack):
    verdict = learned(BaselineDetector()).judge(window(clients(), attack))

    assert verdict.alarm
    assert verdict.score > 1
    assert str(VICTIM) in verdict.reason


@pytest.mark.parametrize(
    "traffic",
    [clients(2000), crowd(), clients(1, packets=1_000_000, length_bytes=1500)],
    ids=["a crowd", "a crowd packet by packet", "a speed test"],
)
def test_much_ordinary_traffic_raises_none(traffic):
    assert not learned(BaselineDetector()).judge(window(traffic)).alarm


def test_before_it_has_learned_only_what_is_far_above_the_floor_raises_an_alarm():
    detector = BaselineDetector()

    assert not detector.judge(window(syn_flood(seeded(), count=200, packets=4))).alarm
    assert detector.judge(window(syn_flood(seeded(), count=500, packets=4))).alarm
    assert learned(detector).judge(window(syn_flood(seeded(), count=200, packets=4))).alarm


def test_one_attack_that_was_learned_by_mistake_moves_nothing():
    detector = learned(BaselineDetector(), windows=200)
    before = detector.threshold(VICTIM, "opening_per_s")

    detector.learn(window(syn_flood(seeded())))

    assert detector.threshold(VICTIM, "opening_per_s") == before


def test_what_is_ordinary_for_a_busy_destination_is_learned():
    detector = BaselineDetector()
    for seed in range(60):
        detector.learn(window(amplification(seeded(seed))))

    assert not detector.judge(window(amplification(seeded(99)))).alarm
    assert detector.threshold(VICTIM, "datagrams_per_s") > 10_000


def test_old_windows_and_destinations_are_forgotten():
    detector = BaselineDetector(BaselineRules(remembered=20, most_destinations=1))
    for _ in range(20):
        detector.learn(window(amplification(seeded())))
    busy = detector.threshold(VICTIM, "datagrams_per_s")

    learned(detector, windows=20)

    assert detector.threshold(VICTIM, "datagrams_per_s") < busy


@pytest.mark.parametrize(
    "wrong", [{"floors": {"colour": 1.0}}, {"quantile_ratio": 1.0}, {"factor": 0.5}, {"warm_up": 0}]
)
def test_rules_without_a_meaning_are_refused(wrong):
    with pytest.raises(ConfigError):
        BaselineRules(**wrong)


def test_a_panel_wants_votes():
    certain, silent = learned(BaselineDetector()), BaselineDetector(BaselineRules(warm_up_factor=1000.0))
    flood = window(syn_flood(seeded()))

    assert Panel([certain, silent]).judge(flood).alarm
    assert not Panel([certain, silent], least_votes=2).judge(flood).alarm


def test_half_space_trees_find_a_flood_unusual():
    pytest.importorskip("river")
    detector = TreesDetector(window_count=30, trees=15)
    assert not detector.judge(window(syn_flood(seeded()))).alarm

    learned(detector, windows=61)

    assert detector.judge(window(syn_flood(seeded(), count=3000))).score > detector.judge(window(clients(12))).score
