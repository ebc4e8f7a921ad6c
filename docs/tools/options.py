"""The page of the options: from the fields of the spec and their metadata."""

from __future__ import annotations

import dataclasses
import typing

from skerry.spec import PLATFORMS, Batch, ClusterSettings, FunctionSpec, Retry, Scale, fates
from tools.markdown import table
from tools.places import GENERATED


def render() -> str:
    """Return the page."""
    return f"""{GENERATED}
# Options

Options are keywords of `@app.function(...)`, keys of `[function.NAME]` in `skerry.toml`, and the `OPTION` of
`--set NAME.OPTION=VALUE` and of `SKERRY_SET`. What is set nearer to the command wins: flag, environment, file,
decorator. An unknown option is an error, and so is one that the platform does not honour. What holds for one platform
alone stands in `[platform.PLATFORM.function.NAME]`.

Below each list stands what each platform makes of its options: `engine` is the embedded engine, `runtime` is
`python -m skerry.runtime` as it runs in a container, `knative` and `kubernetes` are clusters.

Durations are a number and one of `us ms s m min h d`. Sizes are a number and a unit such as `KiB`, `MiB`, `GiB`, `kB`,
`MB`, `GB`; Kubernetes' `Ki`, `Mi`, `Gi` are read too.

## Of a function

{_options(FunctionSpec)}
## Of its scaling

In a decorator: `scale=skerry.Scale(max=4)`. In a file: `scale.max = 4`, or a table `[function.NAME.scale]`. As a
setting: `--set NAME.scale.max=4`.

{_options(Scale)}
## Of its batches

In a decorator: `batch=skerry.Batch(max_size=64, objective="50ms")`. In a file and as a setting as above, with
`batch.` before the name. A function whose handler takes `skerry.Items` has batches without being told so.

{_options(Batch)}
## Of a retry

In a decorator: `@app.on(..., retry=skerry.Retry(attempts=5))`, and so for `app.every` and `app.cron`.

{_options(Retry)}
## Of a cluster

Keys of `[platform.knative]` and `[platform.kubernetes]` in `skerry.toml`.

{_settings()}"""


def _options(cls: type) -> str:
    hints = typing.get_type_hints(cls)
    rows = [
        [f"`{f.name}`", f"`{_type(hints[f.name])}`", _default(f), f.metadata["help"]]
        for f in dataclasses.fields(cls)
        if f.init
    ]
    made = [[f"`{name}`", *(becomes[platform] for platform in PLATFORMS)] for name, becomes in fates(cls).items()]
    return table(["Option", "Type", "Default", "What it is"], rows) + "\n" + table(["Option", *PLATFORMS], made)


def _settings() -> str:
    hints = typing.get_type_hints(ClusterSettings)
    rows = [
        [f"`{f.name}`", f"`{_type(hints[f.name])}`", _default(f), f.metadata["help"]]
        for f in dataclasses.fields(ClusterSettings)
        if f.init
    ]
    return table(["Setting", "Type", "Default", "What it is"], rows)


def _type(hint: typing.Any) -> str:
    if isinstance(hint, type) and typing.get_origin(hint) is None:
        return hint.__name__
    return str(hint).replace("typing.", "").replace("collections.abc.", "")


def _default(field: dataclasses.Field[typing.Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return "none" if field.default is None else f"`{field.default!r}`".replace("'", '"')
    if field.default_factory is not dataclasses.MISSING:
        return "`Scale()`" if field.default_factory is Scale else f"`{field.default_factory()!r}`"
    return "the handler's name in lower case"
