"""An app as seen from another place: its functions call that place, the app itself stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skerry.app.application import App
from skerry.app.binding import Binding
from skerry.platforms import Platform


class AppView(App):
    """An app whose functions call one place; made by :meth:`skerry.App.at`. Its functions are attributes too.

    Args:
        app: The app.
        platform: Where calls go.
    """

    def __init__(self, app: App, platform: Platform) -> None:
        super().__init__(app.name, requirements=app.requirements, imports=app.imports)
        self._module = app._module
        self._binding = Binding(platform, app=app._binding.app)
        self._states = app._states
        self._event_sources = app._event_sources
        self._functions = {name: function.at(platform) for name, function in app.functions.items()}
        self._chains = {name: chain.at(platform) for name, chain in app.chains.items()}

    def __getattr__(self, name: str) -> Any:
        # Only for what is no attribute otherwise; a function of such a name is found in `functions`.
        functions: Mapping[str, Any] = self.__dict__.get("_functions", {})
        chains: Mapping[str, Any] = self.__dict__.get("_chains", {})
        if name in chains:
            return chains[name]
        if name in functions:
            return functions[name]
        there = ", ".join(functions) or "none"
        raise AttributeError(f"app {self.__dict__.get('name')!r} has no function {name!r}; there are: {there}")
