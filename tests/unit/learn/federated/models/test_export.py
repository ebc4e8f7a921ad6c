import numpy as np
import pytest

from skerry.errors import DataError
from skerry.learn.federated.models import paper_cnn
from skerry.learn.federated.models.export import to_onnx


def test_the_exported_model_says_what_the_network_says():
    onnxruntime = pytest.importorskip("onnxruntime")
    parameters = paper_cnn.start(3)
    images = np.random.default_rng(0).integers(0, 256, (50, 28, 28), dtype=np.uint8)
    data = to_onnx(parameters).SerializeToString()
    (said,) = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {"images": images})
    assert said.shape == (50, 10)
    assert np.abs(said - paper_cnn.predict(parameters, images)).max() < 1e-5


def test_parameters_of_another_model_are_refused():
    parameters = paper_cnn.start(0)
    del parameters["dense2.bias"]
    with pytest.raises(DataError, match=r"missing \['dense2.bias'\]"):
        to_onnx(parameters)
