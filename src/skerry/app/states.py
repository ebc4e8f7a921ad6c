"""The states of an app: which it has asked for, and where they are kept."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from skerry.app.binding import Binding
from skerry.errors import SpecError

# What opens a state is imported by the first one: most apps have none.
if TYPE_CHECKING:
    from pathlib import Path

    from skerry.store.state import State, StateStore

FOLDER = "state"


class HasStates:
    """The part of an app that has states; an app is one of these."""

    name: str
    _binding: Binding
    _module: Mapping[str, Any]
    _states: dict[str, State]

    @property
    def states(self) -> Mapping[str, State]:
        """The states that were asked for, by name."""
        return MappingProxyType(self._states)

    def state(self, name: str) -> State:
        """Return a state of this app: a named group of keys that outlives the functions, and that all of them share.

        Write it at the top level of the app's file, so that a deployment knows of it. It is opened when it is first
        used, where ``SKERRY_STATE`` says, else where ``url`` says under ``[state]`` in ``skerry.toml``, else in the
        engine's folder.

        Args:
            name: Lower-case letters, digits and -, a letter first, no - last, at most 63.

        Raises:
            SpecError: the name is not of that form.

        Example:
            ``counts = app.state("counts")``, and in a function ``counts.increment(word)``.
        """
        from skerry.errors import ConfigError
        from skerry.store.state import State, check_group

        if name not in self._states:
            try:
                group = check_group(self.name, name)
            except ConfigError as error:
                raise SpecError(error.message, field="state") from error
            self._states[name] = State(self._store, group)
        return self._states[name]

    def _store(self) -> StateStore:
        from skerry.spec import STATE_VARIABLE
        from skerry.store.state import store_at

        return store_at(os.environ.get(STATE_VARIABLE) or _from_project(self._module.get("__file__")) or self._own())

    def _own(self) -> Path:
        """Return the folder of states of the engine that the functions are called on."""
        from pathlib import Path

        from skerry.platforms.home import ENGINE_VARIABLE, default_home

        if self._binding.home is not None:
            return self._binding.home / FOLDER
        around = os.environ.get(ENGINE_VARIABLE)
        return (Path(around).parent if around else default_home()) / FOLDER


@lru_cache(maxsize=64)
def _from_project(file: str | None) -> str | None:
    from skerry.app.places import folder_of

    return None if file is None else url_of_folder(folder_of(file))


def url_of_folder(folder: Path) -> str | None:
    """Return what the ``skerry.toml`` of a folder says of states; None when it says nothing, or there is none.

    Raises:
        SpecError: the file is not of its form.
    """
    from skerry.spec import PROJECT_FILE, read_project_file

    path = folder / PROJECT_FILE
    if not path.is_file():
        return None
    url: str | None = read_project_file(path).get("state", {}).get("url")
    return url
