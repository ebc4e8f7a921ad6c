"""What is in an image, as a bill of materials (CycloneDX 1.5)."""

from __future__ import annotations

import importlib.metadata
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skerry.platforms.images.installing import name_of

PLACE = "opt/skerry/sbom.cdx.json"


def list_packages(folder: Path) -> dict[str, tuple[str, str]]:
    """Return the version and the licence, as it names it, of each distribution in a folder, by its name."""
    found = {
        name_of(distribution): (distribution.version, _licence(distribution.metadata))
        for distribution in importlib.metadata.distributions(path=[str(folder)])
    }
    return dict(sorted(found.items()))


def make_sbom(app: str, base: Mapping[str, str], packages: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Return the bill of materials; without a time and a serial number, so that it is the same for the same image.

    Args:
        app: The image's name, such as ``digits``.
        base: ``name`` and ``digest`` of the base image, whose own content is not listed.
        packages: Version and licence by name.
    """
    components: list[dict[str, Any]] = [
        {
            "type": "library",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{name}@{version}",
            **({"licenses": [{"license": {"name": licence}}]} if licence else {}),
        }
        for name, (version, licence) in packages.items()
    ]
    below = {"type": "container", "name": base["name"], "version": base["digest"] or "built here"}
    python = {"type": "platform", "name": "CPython", "version": platform.python_version()}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": app}},
        "components": [below, python, *components],
    }


def _licence(metadata: Any) -> str:
    for name in ("License-Expression", "License"):
        value = metadata.get(name)
        if value and "\n" not in value and len(value) < 100:
            return str(value)
    named = [line for line in metadata.get_all("Classifier") or () if line.startswith("License ::")]
    return re.sub(r"^License :: (OSI Approved :: )?", "", named[0]) if named else ""
