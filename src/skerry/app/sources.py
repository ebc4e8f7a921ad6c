"""The sources of an app: where its events come from besides those who publish some."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from skerry.errors import NameTakenError, SpecError

# Most apps have none.
if TYPE_CHECKING:
    from skerry.spec import Source


class HasSources:
    """The part of an app that has sources; an app is one of these."""

    name: str
    _event_sources: dict[str, Source]

    @property
    def event_sources(self) -> Mapping[str, Source]:
        """The declared sources, by name."""
        return MappingProxyType(self._event_sources)

    def source(self, name: str, source: Source, /) -> None:
        """Let events come from somewhere: the engine brings them to its broker, and ``@app.on`` takes them.

        Write it at the top level of the app's file. The events' ``source`` is ``/skerry/source/APP/NAME``. What the
        source is told of is given up there only when its event is durable here.

        Args:
            name: Lower-case letters, digits and -, a letter first, no - last, at most 63. Another name is another
                source, and begins anew.
            source: What it is: a `FileSource`, an `MqttSource` or a `NatsSource`.

        Raises:
            SpecError: the name is not of that form, or the source is none.
            NameTakenError: the app has a source of this name already.

        Example:
            ``app.source("inbox", skerry.FileSource(url="/srv/inbox"))``
        """
        from skerry.spec import FileSource, MqttSource, NatsSource, check_source_name

        check_source_name(name, where=f"app {self.name!r}")
        if not isinstance(source, FileSource | MqttSource | NatsSource):
            raise SpecError(
                f"app {self.name!r}: source {name!r}: {source!r} is none: give it a skerry.FileSource, a "
                "skerry.MqttSource or a skerry.NatsSource",
                field="source",
            )
        if name in self._event_sources:
            raise NameTakenError(f"app {self.name!r} has a source {name!r} already; give one of them another name")
        self._event_sources[name] = source
