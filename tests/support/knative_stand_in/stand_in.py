"""The loop of the stand-in: watches a namespace, and makes it what its Knative services say.

Left out: defaults and validation by webhooks, TLS, domain mappings, rollout duration, garbage collection of old
revisions, routes and configurations without a service, more than one container with its own probes, queue-proxy as a
container.
"""

import contextlib
import http.client
import socket
import threading
import time
import traceback

from support.knative_stand_in.ingress import Ingress
from support.knative_stand_in.reconciler import Reconciler
from support.kube_api import ApiError

KINDS = ("ksvc", "configurations", "revisions", "routes", "deployments", "pods")
TICK_S = 0.25
MACHINE = "10.99.0.254"  # this machine, as pods of the test cluster see it


class KnativeStandIn:
    """Knative's controllers, autoscaler and ingress for one namespace, in threads of this process.

    Args:
        api: The cluster.
        namespace: Where to work.
        host: Address of the ingress; pods must reach it.
        domain: Domain of the routes.
        options: Further ones of the `Reconciler`.
    """

    def __init__(self, api, namespace, *, host=MACHINE, domain="example.com", **options):
        self.api = api
        self.namespace = namespace
        self.domain = domain
        self.errors = []  # what went wrong in its threads; a test's end looks
        self._changed = threading.Event()  # something in the namespace
        self._wake = threading.Event()  # that, or a request that waits
        self._stopping = threading.Event()
        self.ingress = Ingress(host, self._wake.set)
        self.reconciler = Reconciler(api, namespace, self.ingress, domain=domain, **options)
        self._watches = {kind: api.connect(timeout_s=None) for kind in KINDS}
        self._threads = [threading.Thread(target=self._run, name="stand-in", daemon=True)]
        self._threads += [
            threading.Thread(target=self._watch, args=(kind,), name=f"watch {kind}", daemon=True) for kind in KINDS
        ]

    @property
    def address(self):
        """The ingress's address, to be called with the ``Host`` of a route."""
        return f"http://{self.ingress.host}:{self.ingress.port}"

    def start(self):
        self.ingress.start()
        self._changed.set()
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        self._stopping.set()
        self._wake.set()
        for connection in self._watches.values():
            _cut(connection)
        for thread in self._threads:
            thread.join(10)
        self.ingress.stop()

    def _run(self):
        while not self._stopping.is_set():
            self._wake.wait(TICK_S)
            self._wake.clear()
            try:
                if self._changed.is_set():
                    self._changed.clear()
                    self.reconciler.reconcile()
                self.reconciler.scale(time.monotonic())
            except ApiError as error:
                # Changed or gone in between, and it comes again; or the namespace goes, and nothing does.
                if error.status not in (404, 409) and "being terminated" not in str(error):
                    self._report()
                self._try_again()
            except Exception:
                self._report()
                self._try_again()
        self.api.close()

    def _try_again(self):
        self._changed.set()
        self._stopping.wait(TICK_S)

    def _report(self):
        if not self._stopping.is_set():
            self.errors.append(traceback.format_exc())

    def _watch(self, kind):
        connection = self._watches[kind]
        while not self._stopping.is_set():
            try:
                for _ in self.api.watch(kind, self.namespace, "0", connection):
                    self._changed.set()
                    self._wake.set()
            except (OSError, http.client.HTTPException, ValueError, AttributeError):
                connection.close()
                self._stopping.wait(TICK_S)
        connection.close()


def _cut(connection):
    """Wake a thread that reads from a connection."""
    if connection.sock is not None:
        with contextlib.suppress(OSError):  # it is closed already
            connection.sock.shutdown(socket.SHUT_RDWR)
