"""The options that say where a container runs and what it is given: checked where one of them is set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skerry.errors import SpecError
from skerry.spec.toleration import LABEL_KEY, LABEL_VALUE, Toleration
from skerry.spec.volume import OBJECT_NAME, Volume

if TYPE_CHECKING:
    from skerry.spec.function import FunctionSpec


def check_placement(spec: FunctionSpec) -> None:
    """Refuse names and labels that Kubernetes would refuse.

    Raises:
        SpecError: one is not of its form.
    """
    for key, names in (
        ("secrets", spec.secrets),
        ("runtime_class", [] if spec.runtime_class is None else [spec.runtime_class]),
    ):
        for name in names:
            if not OBJECT_NAME.fullmatch(name):
                raise SpecError(f"{key}: {name!r}: use lower-case letters, digits, - and .", field=key)
    for label, value in spec.node_labels.items():
        if not LABEL_KEY.fullmatch(label) or not LABEL_VALUE.fullmatch(value):
            raise SpecError(f"node_labels: {label!r} = {value!r}: no label of Kubernetes", field="node_labels")
    for text in spec.tolerations:
        Toleration.parse(text)
    for path, source in spec.volumes.items():
        Volume.parse(path, source)
