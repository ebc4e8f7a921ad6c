import pytest

from skerry.engine.chains.checking import check_chains, check_fusible
from skerry.errors import ConfigError, SpecError
from skerry.spec import FunctionSpec
from skerry.spec.chain import CallStep, ChainPlan

PLAN = ChainPlan(steps=(CallStep(function="a"), CallStep(function="b", undo="c")))


def specs(*functions, **chain):
    return {spec.name: spec for spec in (FunctionSpec(name="chain", chain=PLAN, **chain), *functions)}


def test_a_chain_of_the_apps_own_functions_is_deployed():
    check_chains(specs(*(FunctionSpec(name=name) for name in "abc")))
    check_chains(specs(FunctionSpec(name="a", local=True), *(FunctionSpec(name=name) for name in "bc"), local=True))


def test_a_chain_that_calls_what_is_not_there_is_refused():
    with pytest.raises(SpecError, match="'chain' calls 'c', which is no function"):
        check_chains(specs(FunctionSpec(name="a"), FunctionSpec(name="b")))


def test_what_is_local_does_not_leave_through_a_chain():
    with pytest.raises(SpecError, match="label the chain local too"):
        check_chains(specs(FunctionSpec(name="a", local=True), *(FunctionSpec(name=name) for name in "bc")))


def test_functions_that_need_their_own_workers_are_not_fused():
    own = FunctionSpec(name="chain", chain=PLAN, env={"A": "1"})
    check_fusible("chain", own, [FunctionSpec(name="a", env={"A": "1"}), FunctionSpec(name="b")])
    with pytest.raises(ConfigError, match="'b' has a model"):
        check_fusible("chain", own, [FunctionSpec(name="a"), FunctionSpec(name="b", model="digits")])
    with pytest.raises(ConfigError, match="'a' has environment variables"):
        check_fusible("chain", own, [FunctionSpec(name="a", env={"A": "2"})])
