"""What an engine does about models: it follows aliases, divides traffic, and answers inference addresses."""

from __future__ import annotations

from skerry.engine.journal import Journal
from skerry.engine.models.control import ModelControl
from skerry.engine.models.revisions import ModelRevisions
from skerry.engine.models.watch import ModelWatch
from skerry.engine.records import Records
from skerry.engine.supervisor import Supervisor
from skerry.engine.traffic.book import TrafficBook
from skerry.engine.traffic.control import TrafficControl
from skerry.runtime.front import Front
from skerry.runtime.inference_routes import InferenceRoutes
from skerry.runtime.model_source import ModelSource


class ModelServing:
    """The models of one engine.

    Args:
        records: Where revisions and plans of traffic are kept.
        supervisor: What serves functions.
        journal: Takes events.
        source: Where models come from.
    """

    def __init__(self, records: Records, supervisor: Supervisor, journal: Journal, source: ModelSource) -> None:
        revisions = ModelRevisions(records, supervisor, journal, source)
        self.watch = ModelWatch(source, supervisor, revisions, journal)
        self._traffic = TrafficBook(records, supervisor, revisions, journal, source)
        self._control = ModelControl(supervisor, self.watch)

    def add_routes(self, front: Front) -> None:
        """Serve the control API of models and of traffic, and the addresses of inference protocols, on a front."""
        self._control.add_routes(front)
        TrafficControl(find=self._traffic.find, resolve=self._traffic.resolve).add_routes(front)
        InferenceRoutes(front, self._control.models).add_routes()

    def start(self) -> None:
        """Follow aliases from now on, and go on with what was being tried."""
        self.watch.start()
        self._traffic.resume()

    async def stop(self) -> None:
        """Follow nothing and decide nothing more."""
        self._traffic.stop()
        await self.watch.stop()
