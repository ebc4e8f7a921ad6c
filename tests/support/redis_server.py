"""A Redis server of the tests' own, on a Unix socket in a folder of theirs; `kill -9` and start again included."""

import shutil
import subprocess
import time
from pathlib import Path

MISSING = "Redis is not there: apt-get install redis-server (or valkey-server), and pip install redis"


def find_program():
    return shutil.which("redis-server") or shutil.which("valkey-server")


class RedisServer:
    """A server that keeps its data in a folder, and is gone with the tests.

    Args:
        folder: Where its socket and its data are; a path of a socket has at most 107 bytes.
        password: What clients have to say.
    """

    def __init__(self, folder: Path, password=None):
        self._folder = folder
        self._password = password
        self._process = None
        self.socket = folder / "redis.sock"
        self.start()

    @property
    def url(self):
        return f"unix://{self.socket}?db=0"

    def start(self):
        options = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self._folder), "--save", ""]
        options += ["--appendonly", "yes", "--appendfsync", "no", "--daemonize", "no", "--logfile", "redis.log"]
        if self._password:
            options += ["--requirepass", self._password]
        self._process = subprocess.Popen(
            [find_program(), *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        self._wait_ready()

    def _wait_ready(self):
        import redis

        until = time.monotonic() + 30
        while True:
            assert self._process.poll() is None, (self._folder / "redis.log").read_text()
            try:
                with redis.Redis.from_url(self.url, password=self._password) as client:
                    client.ping()
                return
            except redis.ConnectionError:
                assert time.monotonic() < until, "the server does not answer"
                time.sleep(0.01)

    def kill(self):
        self._process.kill()
        self._process.wait(60)

    def close(self):
        self.kill()
