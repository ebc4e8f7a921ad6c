"""Whether the functions of a chain can be deployed as they are, and run in one worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from skerry.errors import ConfigError, SpecError
from skerry.spec import FunctionSpec


def check_chains(specs: Mapping[str, FunctionSpec]) -> None:
    """Refuse chains of an app that cannot be done.

    Args:
        specs: The app's functions by name.

    Raises:
        SpecError: a chain calls what is no function of the app; or one that is labelled ``local``, and is not itself.
    """
    for name, spec in specs.items():
        for function in () if spec.chain is None else spec.chain.functions:
            if function not in specs:
                raise SpecError(f"chain {name!r} calls {function!r}, which is no function of its app", field="chain")
            if specs[function].local and not spec.local:
                raise SpecError(
                    f"chain {name!r} calls {function!r}, which is labelled local: label the chain local too",
                    field="local",
                )


def check_fusible(chain: str, own: FunctionSpec, steps: Sequence[FunctionSpec]) -> None:
    """Refuse to do in one worker what only the functions' own workers can.

    Args:
        chain: The chain's name.
        own: The function whose workers would do it.
        steps: The functions that it calls.

    Raises:
        ConfigError: one of them has a model, or variables that the chain's workers do not have.
    """
    for spec in steps:
        why = ""
        if spec.model is not None:
            why = "has a model"
        elif spec.env.items() - own.env.items():
            why = "has environment variables"
        if why:
            raise ConfigError(
                f"chain {chain!r} cannot be fused: function {spec.name!r} {why}, which only its own workers have; run "
                "it separated",
                field="mode",
            )
