"""A mosquitto started by the test, its clients, and certificates for it."""

import shutil
import signal
import socket
import subprocess
import time

import pytest

from support.held_port import HeldPort

START_S = 20.0
PASSWORD = "hunter2"


def program(name):
    found = shutil.which(name, path="/usr/sbin:/usr/local/bin:/usr/bin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"there is no {name}: apt-get install mosquitto openssl")
    return found


def make_certificate(folder):
    """Make a certificate for localhost that signs itself; return its file."""
    command = [
        program("openssl"),
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem"), "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    (folder / "key.pem").chmod(0o644)  # mosquitto gives up root before it reads it
    return folder / "certificate.pem"


class MqttBroker:
    """A broker that keeps its sessions in a file.

    Args:
        folder: Its files.
        tls: Whether it wants TLS, and the user `edge` with a password.
    """

    def __init__(self, folder, *, tls=False):
        self._program = program("mosquitto")
        self._folder = folder
        self._process = None
        self.tls = tls
        self.log = folder / "mosquitto.log"
        self._held = HeldPort()
        self.port = self._held.number
        lines = [f"listener {self.port} 127.0.0.1", "persistence true", f"persistence_location {folder}/", "user root"]
        lines += ["max_queued_messages 0", "log_type all"]
        if tls:
            self.ca = make_certificate(folder)
            lines += [f"certfile {self.ca}", f"keyfile {folder / 'key.pem'}", f"password_file {folder / 'passwords'}"]
            passwords = [program("mosquitto_passwd"), "-b", "-c", str(folder / "passwords"), "edge", PASSWORD]
            subprocess.run(passwords, check=True, capture_output=True)
        else:
            lines += ["allow_anonymous true"]
        self._settings = folder / "mosquitto.conf"
        self._settings.write_text("\n".join(lines) + "\n")

    @property
    def url(self):
        return f"mqtts://localhost:{self.port}" if self.tls else f"mqtt://127.0.0.1:{self.port}"

    def start(self):
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen([self._program, "-c", str(self._settings)], stdout=log, stderr=log)
        until = time.monotonic() + START_S
        while True:
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                time.sleep(0.02)

    def stop(self):
        """End it in order, so that its sessions are in its file."""
        self._end(signal.SIGTERM)

    def kill(self):
        self._end(signal.SIGKILL)

    def _end(self, number):
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(60)

    def publish(self, *messages, **properties):
        """Publish (topic, payload) at QoS 1; return once the broker has them all."""
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        client.max_inflight_messages_set(100)
        if self.tls:
            client.username_pw_set("edge", PASSWORD)
            client.tls_set(str(self.ca))
        client.connect("localhost" if self.tls else "127.0.0.1", self.port)
        client.loop_start()
        said = Properties(PacketTypes.PUBLISH)
        for name, value in properties.items():
            setattr(said, name, value)
        try:
            for sent in [client.publish(topic, payload, qos=1, properties=said) for topic, payload in messages]:
                sent.wait_for_publish(START_S)
                assert sent.is_published()
        finally:
            client.disconnect()
            client.loop_stop()
