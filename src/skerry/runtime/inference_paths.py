"""The addresses at which the function of a model is called besides ``/function/NAME``.

Source: Open Inference Protocol v2 (KServe, ``required_api.md``) and KServe's protocol v1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

V1 = "v1"
V2 = "v2"


@dataclass(frozen=True, slots=True, kw_only=True)
class InferencePath:
    """One address.

    Args:
        path: As it stands in a request's first line, without a query.
        protocol: How bodies are written there, `V1` or `V2`.
        version: The one version of the model that the address is for; none for whichever is served.
    """

    path: bytes
    protocol: str
    version: int | None = None


def inference_paths(name: str, versions: Iterable[int]) -> list[InferencePath]:
    """Return the addresses of a model function.

    Args:
        name: The function's name, which is the model's name on the wire.
        versions: The versions that may be asked for by their number.
    """
    model = f"/v2/models/{name}"
    return [
        InferencePath(path=f"{model}/infer".encode(), protocol=V2),
        InferencePath(path=f"/v1/models/{name}:predict".encode(), protocol=V1),
        *(
            InferencePath(path=f"{model}/versions/{version}/infer".encode(), protocol=V2, version=version)
            for version in versions
        ),
    ]
