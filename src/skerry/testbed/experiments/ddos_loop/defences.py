"""What defends the victim in an arm: Skerry's loop, FastNetMon, or nothing; each tells when it did what."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from skerry.errors import PlatformError
from skerry.testbed.experiments.ddos_loop.exporters import EXPORTERS, FLOW_PORT
from skerry.testbed.experiments.ddos_loop.processes import Program

# With those records of exporters are ready as well: pmacctd and softflowd do not say when they listen.
EXPORTER_START_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Something that a defence did.

    Args:
        what: ``detected``, ``acted``, ``withdrawn``, or another word of its own.
        at_s: When, on the machine's monotonic clock.
        reason: Why.
    """

    what: str
    at_s: float
    reason: str = ""


class Defence(ABC):
    """Runs in the router for a trial.

    Args:
        network: The router's network.
        folder: Where its files are.
    """

    def __init__(self, network: str, folder: Path) -> None:
        self.network = network
        self.folder = folder

    @abstractmethod
    def start(self) -> list[Program]:
        """Start it, and return its programs when it is ready; the first is the defence itself."""

    @abstractmethod
    def said(self) -> list[Said]:
        """Return what it did so far, in order."""


class Nothing(Defence):
    """No defence."""

    def start(self) -> list[Program]:
        """Start nothing."""
        return []

    def said(self) -> list[Said]:
        """Return nothing."""
        return []


class Skerry(Defence):
    """Skerry's loop behind an exporter."""

    def __init__(self, network: str, folder: Path, *, exporter: str) -> None:
        super().__init__(network, folder)
        self._exporter = EXPORTERS[exporter]
        self._program: Program | None = None

    def start(self) -> list[Program]:
        """Start the loop, and then the exporter."""
        settings = {
            "folder": str(self.folder / "defence"),
            "port": FLOW_PORT,
            "window_ms": self._exporter.window_ms,
            "clock": self._exporter.clock,
        }
        self._program = Program.python(self.network, "defender", settings, self.folder)
        try:
            self._program.wait_for(lambda line: '"ready"' in line)
            return [self._program, self._exporter.start(self.network, self.folder)]
        except BaseException:
            self._program.stop()
            raise

    def said(self) -> list[Said]:
        """Return the steps of the loop."""
        if self._program is None:
            return []
        return [
            Said(what=line["step"], at_s=line["at_s"], reason=line["reason"])
            for line in self._program.objects()
            if "step" in line
        ]


DEFAULTS = Path("/etc/fastnetmon.conf")
# Above what the thin link carries in full packets, which are 1250 a second.
THRESHOLD_PPS = 2000
NOTIFY = """#!/bin/sh
set -e
PATH=$PATH:/usr/sbin:/sbin
say() {{ echo "$1 $2" > {pipe}; }}
cat > /dev/null
case "$4" in
ban)
say detected $3
nft -f - << END
table inet fastnetmon {{
    chain ban {{
        type filter hook prerouting priority -450;
        ip daddr $1 counter drop
    }}
}}
END
say acted $3
;;
unban)
nft delete table inet fastnetmon
say withdrawn $3
;;
esac
"""


class FastNetMon(Defence):
    """FastNetMon, which sees every packet that comes to the router, and blocks the address that is attacked."""

    def __init__(self, network: str, folder: Path) -> None:
        super().__init__(network, folder)
        self._bans: Program | None = None

    def start(self) -> list[Program]:
        """Start it with the thresholds of the issue's sketch; it begins to ban as soon as it has an average."""
        if not DEFAULTS.is_file():
            raise PlatformError(f"there is no {DEFAULTS}; install the Debian package fastnetmon")
        (self.folder / "networks").write_text("10.9.3.0/24\n")
        (self.folder / "allowed").write_text("")
        script = self.write_script()
        config = self.folder / "fastnetmon.conf"
        config.write_text(_configure(DEFAULTS.read_text(), self._settings(script)))
        log = self.folder / "fastnetmon.log"
        words = ["fastnetmon", f"--configuration_file={config}", f"--log_file={log}"]
        bans = self.listen()
        try:
            return [Program(self.network, words, self.folder, log=log), bans]
        except BaseException:
            bans.stop()
            raise

    def write_script(self) -> Path:
        """Write the script that it calls, and return where it is."""
        script = self.folder / "notify.sh"
        script.write_text(NOTIFY.format(pipe=self.folder / "bans"))
        script.chmod(0o755)
        return script

    def listen(self) -> Program:
        """Start the process that the script tells what it does, and return it when it is ready."""
        self._bans = Program.python(self.network, "bans", {"pipe": str(self.folder / "bans")}, self.folder)
        try:
            self._bans.wait_for(lambda line: '"ready"' in line)
        except BaseException:
            self._bans.stop()
            raise
        return self._bans

    def said(self) -> list[Said]:
        """Return its bans, which it tells together with the detection."""
        if self._bans is None:
            return []
        lines = [line for line in self._bans.objects() if "what" in line]
        return [Said(what=line["what"], at_s=line["at_s"], reason=line["reason"]) for line in lines]

    def _settings(self, script: Path) -> dict[str, str]:
        return {
            "disable_usage_report": "on",
            "enable_ban": "on",
            "process_outgoing_traffic": "off",
            "mirror_afpacket": "on",
            "interfaces": "to-attacker,to-client",
            "ban_for_pps": "on",
            "threshold_pps": str(THRESHOLD_PPS),
            "ban_for_bandwidth": "off",
            "ban_for_flows": "off",
            "networks_list_path": str(self.folder / "networks"),
            "white_list_path": str(self.folder / "allowed"),
            "notify_script_path": str(script),
            "notify_script_enabled": "on",
            "average_calculation_time": "1",
            "average_calculation_time_for_subnets": "1",
            "speed_calculation_delay": "1",
            "ban_time": "3",
            "unban_only_if_attack_finished": "on",
            "pid_path": str(self.folder / "fastnetmon.pid"),
            "cli_stats_file_path": str(self.folder / "stats"),
            "cli_stats_ipv6_file_path": str(self.folder / "stats6"),
            "enable_api": "off",
            "gobgp": "off",
            "exabgp": "off",
            "collect_attack_pcap_dumps": "off",
            "logging_local_syslog_logging": "off",
        }


def _configure(text: str, settings: dict[str, str]) -> str:
    kept = [line for line in text.splitlines() if line.partition("=")[0].strip() not in settings]
    return "\n".join([*kept, *(f"{name} = {value}" for name, value in settings.items())]) + "\n"
