"""All tests that need torch are here: importing it takes seconds."""

import numpy as np
import pytest

from skerry.errors import ModelRejectedError
from skerry.serve import push
from skerry.serve.exporting import export
from skerry.serve.publishing_session import open_session, run_session

torch = pytest.importorskip("torch")


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = torch.nn.Conv2d(1, 4, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(4)
        self.dropout = torch.nn.Dropout(0.3)
        self.linear = torch.nn.Linear(64, 10)

    def forward(self, image):
        hidden = torch.relu(self.norm(self.convolution(image)))
        pooled = torch.nn.functional.max_pool2d(hidden, 2)
        return self.linear(self.dropout(pooled.flatten(1)))


class DependsOnValues(torch.nn.Module):
    def forward(self, rows):
        return rows if rows.sum() > 0 else rows * 2


@pytest.fixture(scope="module")
def exported(digits):
    torch.manual_seed(0)
    network = Network()
    network.norm.eval()
    images = digits[0].reshape(-1, 1, 8, 8) / 16
    threads = torch.get_num_threads()
    model = export(network, images[:1].astype(np.float64))
    assert torch.get_num_threads() == threads
    return network, images, model, (network.training, network.norm.training, network.dropout.training)


def test_a_network_gives_what_the_original_gives_on_all_digits(exported):
    network, images, model, _ = exported
    results = run_session(open_session(model.content), {"image": images})
    with torch.no_grad():
        expected = network.eval()(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(results["output"], expected, atol=1e-5)
    assert model.worst_difference <= 1e-5
    assert model.feeds["image"].dtype == np.float32


def test_nothing_of_the_machine_is_in_the_file(exported):
    assert __file__.encode() not in exported[2].content
    assert b"site-packages" not in exported[2].content


def test_a_module_keeps_its_modes(exported):
    _, _, _, modes = exported
    assert modes == (True, False, True)


def test_code_that_depends_on_values_is_refused_with_the_reason(digits):
    with pytest.raises(ModelRejectedError, match=r"torch\.onnx: GuardOnDataDependentSymNode: Could not guard"):
        export(DependsOnValues(), digits[0][:2])


def test_a_sample_that_the_module_does_not_take_is_refused(digits):
    with pytest.raises(ModelRejectedError, match="has no parameter 'pixels', only image"):
        export(Network(), {"pixels": digits[0]})
    with pytest.raises(ModelRejectedError, match="fails on the sample"):
        export(Network(), digits[0][:2])
    with pytest.raises(ModelRejectedError, match="texts"):
        export(Network(), ["a", "b"])


def test_a_network_is_pushed_with_its_labels(exported, repository):
    network, images, _, _ = exported
    manifest = push("digits", network, sample=images[:3], repository=repository, labels="0123456789")
    assert (manifest.kind, manifest.labels) == ("classifier", tuple("0123456789"))
    assert [(tensor.name, tensor.shape) for tensor in manifest.inputs] == [("image", (None, 1, 8, 8))]
    assert manifest.code_digest.startswith("sha256:")
