"""A store of models in a folder, with small files in the place of models."""

import json

from skerry.store.models import ManifestDraft, ModelRepository, TensorSpec
from skerry.store.objects import open_store
from support.engine_process import write_app

# What a worker was given, and what the request was said to be. A version whose file says "broken" cannot be loaded, one
# that says "slow" takes longer than the autoscaler of a short panic window needs to look again.
APP = """
import pathlib
app = skerry.App("app-of-{name}")

@app.function({options})
class {name}:
    def load(self):
        self.content = pathlib.Path(os.environ["SKERRY_MODEL_FOLDER"], "model.onnx").read_text()
        if self.content == "broken":
            raise ValueError("this version is broken")
        if self.content == "slow":
            time.sleep(1.0)

    def __call__(self, inputs: list = (), instances: list = (), delay_s: float = 0.0) -> dict:
        time.sleep(delay_s)
        return {{"content": self.content, "model": os.environ["SKERRY_MODEL"], "pid": os.getpid()}}
"""


class ModelStore:
    """Models in a folder.

    Args:
        folder: Where.
    """

    def __init__(self, folder):
        self.folder = folder
        self.repository = ModelRepository(open_store(str(folder)))

    def publish(self, name, content, *, alias=None):
        """Publish a version whose file has this text; return its number."""
        draft = ManifestDraft(
            framework="onnx",
            kind="other",
            inputs=(TensorSpec(name="x", dtype="float32", shape=(None, 4)),),
            outputs=(TensorSpec(name="label", dtype="int64", shape=(None,)),),
        )
        version = self.repository.publish(name, {"model.onnx": content.encode()}, draft).version
        if alias is not None:
            self.move(name, version, alias=alias)
        return version

    def move(self, name, version, *, alias="production"):
        """Move an alias."""
        self.repository.set_alias(name, alias, version)


def write_model_app(path, *, name="digits", model=None, **options):
    """Write an app with one function of a model, that of its name where none is given; further options as text."""
    told = ", ".join(
        [f"model={model or f'{name}@production'!r}", *(f"{key}={value}" for key, value in options.items())]
    )
    return write_app(path, APP.format(name=name, options=told))


def tensors(*values):
    """Return the body of a request of the Open Inference Protocol."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, len(values)], "data": list(values)}
    return json.dumps({"inputs": [tensor]}).encode()
