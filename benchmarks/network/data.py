"""NSL-KDD and a sample of CIC-IDS 2017, as arrays without identifiers and timestamps."""

from __future__ import annotations

import csv
import gzip
import math
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import numpy as np

from skerry.network.actions import Flag, Protocol
from skerry.network.detection import Slice, flow_row

# Attacks of the test file that the training file does not name.
NEW_ATTACKS = {
    "dos": "apache2 mailbomb processtable udpstorm worm",
    "probe": "mscan saint",
    "r2l": "httptunnel named sendmail snmpgetattack snmpguess xlock xsnoop",
    "u2r": "ps sqlattack xterm",
}
PROTOCOLS = {"6": Protocol.TCP, "17": Protocol.UDP, "1": Protocol.ICMP}
IP_HEADER_BYTES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Samples.

    Attributes:
        features: One row each.
        classes: What each is.
        order: When each was seen; to split by, never a feature.
    """

    features: Any
    classes: Any
    order: Any

    def chosen(self, mask: Any) -> Rows:
        """Return the rows that a mask or an index chooses."""
        return Rows(features=self.features[mask], classes=self.classes[mask], order=self.order[mask])


class NslKdd:
    """NSL-KDD with its symbols as numbers; what the training file does not know is a symbol of its own.

    Args:
        folder: Where the files are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        types = (folder / "attack_types.csv").read_text().splitlines()
        self._families = dict(row for row in csv.reader(types) if len(row) == 2)
        self._families |= {name: family for family, names in NEW_ATTACKS.items() for name in names.split()}
        self._symbols: list[dict[str, int]] = [{}, {}, {}]
        self.train = self._read("KDDTrain+_20Percent.txt.gz", learning=True)

    def test(self, name: str) -> Rows:
        """Return a held-out file: ``KDDTest+`` or ``KDDTest-21``."""
        return self._read(f"{name}.txt.gz", learning=False)

    def _read(self, name: str, *, learning: bool) -> Rows:
        features, classes = [], []
        with gzip.open(self._folder / name, "rt") as text:
            for row in csv.reader(text):
                # 41 features, the label, and how many learners got it right, which nobody has before the answer.
                numbers = [self._number(place, value, learning=learning) for place, value in enumerate(row[:41])]
                features.append(numbers)
                classes.append(self._families.get(row[41], "unknown"))
        return Rows(features=np.array(features), classes=np.array(classes), order=np.arange(len(classes)))

    def _number(self, place: int, value: str, *, learning: bool) -> float:
        if place not in (1, 2, 3):
            return float(value)
        known = self._symbols[place - 1]
        if learning:
            known.setdefault(value, len(known))
        return float(known.get(value, -1))


def read_cic(path: Path) -> Rows:
    """Return the flows of CIC-IDS 2017 as a flow exporter would tell them: the forward direction's packets and flags.

    Flags are counted by the data set for both directions together.
    """
    features, classes, order = [], [], []
    with gzip.open(path, "rt") as text:
        for row in csv.DictReader(text):
            item = _slice(row)
            if item is not None:
                features.append(flow_row(item))
                classes.append(row["Label"])
                order.append(row["Timestamp"])
    return Rows(features=np.array(features, np.float32), classes=np.array(classes), order=np.array(order))


def _slice(row: dict[str, str]) -> Slice | None:
    packets = float(row["Total Fwd Packet"])
    if not packets or not math.isfinite(packets):
        return None
    size = float(row["Total Length of Fwd Packet"]) + float(row["Fwd Header Length"]) + IP_HEADER_BYTES * packets
    flags = Flag(0)
    for flag in Flag:
        if float(row[f"{flag.name} Flag Count"]) > 0:
            flags |= flag
    protocol = PROTOCOLS.get(row["Protocol"])
    return Slice(
        source=ip_address("192.0.2.1"),  # not a feature
        protocol=protocol,
        flags=flags if protocol is Protocol.TCP else None,
        length_bytes=int(size / packets),
        packets=packets,
    )
