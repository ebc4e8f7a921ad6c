"""What a caller may name as the place that calls go to, and which platform that is."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from skerry.errors import ConfigError
from skerry.platforms import Platform
from skerry.spec import PROJECT_FILE, Site, read_project_file

Place = str | Site | Platform


def platform_at(place: Place, *, folder: Path | None, patience_s: float = 60.0) -> Platform:
    """Return the platform that a place means.

    Args:
        place: A site's name in ``skerry.toml``, a `Site`, or a platform.
        folder: Where the app's file is; its ``skerry.toml`` is looked at first, then that of the current folder.
        patience_s: Most seconds to wait, in total, before a request to a site is not sent again.

    Raises:
        ConfigError: no such site is named, its token is not there, or the place is none of these.
        SpecError: a ``skerry.toml`` is not one.
    """
    if isinstance(place, str):
        place = find_site(place, folders=[Path.cwd()] if folder is None else [folder, Path.cwd()])
    if not isinstance(place, Site):
        if hasattr(place, "invoke"):
            return place
        raise ConfigError(f"{place!r} is no place for calls: give a site's name, a skerry.Site or a platform")
    # Imported here because most programs that import an app never call it remotely.
    if place.is_cluster:
        from skerry.app.clusters import cluster_site

        return cluster_site(place, patience_s=patience_s)
    from skerry.platforms.engine.site import site_platform

    return site_platform(place, patience_s=patience_s)


@lru_cache(maxsize=256)
def folder_of(file: str) -> Path:
    """Return the folder that a module's file is in; looked up once, because every call of its functions asks."""
    return Path(file).resolve().parent


def find_site(name: str, *, folders: list[Path]) -> Site:
    """Return the site of a name, from the first of the folders' ``skerry.toml`` that names it.

    Raises:
        ConfigError: none does.
    """
    known: dict[str, Site] = {}
    for folder in folders:
        known = {**known_sites(folder), **known}
    if name in known:
        return known[name]
    there = f"there are: {', '.join(sorted(known))}" if known else "there are none"
    looked_in = " and ".join(dict.fromkeys(str(folder / PROJECT_FILE) for folder in folders))
    raise ConfigError(
        f"no site {name!r} in {looked_in}; {there}",
        hint=f'write [sites.{name}] with address = "https://HOST:PORT" into {PROJECT_FILE}',
    )


def known_sites(folder: Path) -> Mapping[str, Site]:
    """Return the sites that a folder's ``skerry.toml`` names; none without one."""
    project = folder / PROJECT_FILE
    sites: Mapping[str, Site] = read_project_file(project).get("sites", {}) if project.is_file() else {}
    return sites
