"""What a function's workers are told."""

from pathlib import Path

from skerry.runtime.serving import worker_target
from skerry.runtime.target import Target
from skerry.spec import FunctionSpec


def test_a_worker_knows_its_function_whatever_the_environment_says():
    base = Target(root=Path("/app"), file=None, module="app", attribute="app", function="hello", environment={})
    spec = FunctionSpec(name="hello", env={"SKERRY_FUNCTION": "another", "MORE": "1"})

    found = worker_target(base, spec, {"K_SERVICE": "app-hello"}).environment

    assert found == {"K_SERVICE": "app-hello", "MORE": "1", "SKERRY_FUNCTION": "hello"}
