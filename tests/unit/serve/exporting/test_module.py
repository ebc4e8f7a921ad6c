"""All tests of this kind that need torch are here: importing it takes seconds."""

import numpy as np
import pytest

from skerry.errors import ModelRejectedError
from skerry.serve import push
from skerry.serve.exporting import export
from skerry.serve.publishing_session import open_session, run_session


@pytest.fixture(scope="module")
def torch():
    """The library, which the other processes of the tests need not import."""
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def networks(torch):
    from support import torch_networks

    return torch_networks


@pytest.fixture(scope="module")
def exported(digits, torch, networks):
    torch.manual_seed(0)
    network = networks.Network()
    network.norm.eval()
    images = digits[0].reshape(-1, 1, 8, 8) / 16
    threads = torch.get_num_threads()
    model = export(network, images[:1].astype(np.float64))
    assert torch.get_num_threads() == threads
    return network, images, model, (network.training, network.norm.training, network.dropout.training)


def test_a_network_gives_what_the_original_gives_on_all_digits(exported, torch):
    network, images, model, _ = exported
    results = run_session(open_session(model.content), {"image": images})
    with torch.no_grad():
        expected = network.eval()(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(results["output"], expected, atol=1e-5)
    assert model.worst_difference <= 1e-5
    assert model.feeds["image"].dtype == np.float32


def test_nothing_of_the_machine_is_in_the_file(exported, networks):
    for file in (__file__, networks.__file__):
        assert file.encode() not in exported[2].content
    assert b"site-packages" not in exported[2].content


def test_a_module_keeps_its_modes(exported):
    _, _, _, modes = exported
    assert modes == (True, False, True)


def test_code_that_depends_on_values_is_refused_with_the_reason(digits, networks):
    with pytest.raises(ModelRejectedError, match=r"torch\.onnx: GuardOnDataDependentSymNode: Could not guard"):
        export(networks.DependsOnValues(), digits[0][:2])


def test_a_sample_that_the_module_does_not_take_is_refused(digits, networks):
    with pytest.raises(ModelRejectedError, match="has no parameter 'pixels', only image"):
        export(networks.Network(), {"pixels": digits[0]})
    with pytest.raises(ModelRejectedError, match="fails on the sample"):
        export(networks.Network(), digits[0][:2])
    with pytest.raises(ModelRejectedError, match="texts"):
        export(networks.Network(), ["a", "b"])


def test_a_network_is_pushed_with_its_labels(exported, repository):
    network, images, _, _ = exported
    manifest = push("digits", network, sample=images[:3], repository=repository, labels="0123456789")
    assert (manifest.kind, manifest.labels) == ("classifier", tuple("0123456789"))
    assert [(tensor.name, tensor.shape) for tensor in manifest.inputs] == [("image", (None, 1, 8, 8))]
    assert manifest.code_digest.startswith("sha256:")
