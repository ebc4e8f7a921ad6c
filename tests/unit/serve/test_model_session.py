"""A model opened by ONNX Runtime."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from onnx import TensorProto, helper

from skerry.errors import InvalidPayloadError, ModelRejectedError
from skerry.serve.model_session import ModelSession, quota_threads
from support.served_models import digits, graph, publish_digits


def write(folder, model):
    path = folder / "model.onnx"
    path.write_bytes(model)
    return path


def test_outputs_are_those_of_the_model_that_was_exported(tmp_path):
    pipeline, rows, model = digits()
    session = ModelSession(write(tmp_path, model), model="digits@1", threads=1)
    outputs = session.run({"X": rows[:1000]})
    assert session.inputs == ("X",)
    assert (outputs["label"] == pipeline.predict(rows[:1000])).all()
    assert np.abs(outputs["probabilities"] - pipeline.predict_proba(rows[:1000])).max() < 1e-5


def test_arrays_may_be_views_at_any_byte_that_nobody_may_write_to(tmp_path):
    _, rows, model = digits()
    session = ModelSession(write(tmp_path, model), model="digits@1", threads=1)
    for shift in range(1, 5):
        view = np.frombuffer(b"\0" * shift + rows[:2].tobytes(), dtype="float32", offset=shift).reshape(2, 64)
        assert (session.run({"X": view})["label"] == session.run({"X": rows[:2]})["label"]).all()


def test_only_the_outputs_that_are_wanted_are_returned(tmp_path):
    _, rows, model = digits()
    session = ModelSession(write(tmp_path, model), model="digits@1", threads=1)
    assert list(session.run({"X": rows[:2]}, ["label"])) == ["label"]


@pytest.mark.parametrize("content", [b"", b"no model", None], ids=["empty", "text", "cut"])
def test_what_is_no_model_is_refused(tmp_path, content):
    content = digits()[2][:-100] if content is None else content
    with pytest.raises(ModelRejectedError, match=r"model m@1: ONNX Runtime cannot open model\.onnx: "):
        ModelSession(write(tmp_path, content), model="m@1", threads=1)


def test_outputs_that_are_no_tensors_are_refused(tmp_path):
    from skl2onnx import to_onnx

    pipeline, rows, _ = digits()
    model = to_onnx(pipeline, rows[:1], target_opset=18).SerializeToString()
    with pytest.raises(ModelRejectedError, match=r"seq\(map\(int64,tensor\(float\)\)\).*zipmap"):
        ModelSession(write(tmp_path, model), model="m@1", threads=1)


def test_inputs_that_a_model_cannot_run_on_are_the_callers_fault(tmp_path):
    table = helper.make_tensor("table", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])
    model = graph(
        [helper.make_node("Gather", ["table", "i"], ["y"])],
        {"i": ("int64", [None])},
        {"y": ("float32", [None])},
        [table],
    )
    session = ModelSession(write(tmp_path, model), model="pick@2", threads=1)
    assert session.run({"i": np.array([2])})["y"].tolist() == [3]
    with pytest.raises(InvalidPayloadError, match=r"model pick@2 cannot run on these inputs: .*Gather"):
        session.run({"i": np.array([7])})


def test_threads_are_those_of_the_quota(monkeypatch):
    for text, threads in (("3", 3), ("0", 1), ("x", 1), ("", 1)):
        monkeypatch.setenv("SKERRY_THREADS", text)
        assert quota_threads() == threads
    monkeypatch.delenv("SKERRY_THREADS")
    assert quota_threads() == 1


def test_a_process_that_has_loaded_a_model_has_one_thread_and_may_be_forked(tmp_path):
    folder = publish_digits(tmp_path)
    program = """
        import os, sys
        from pathlib import Path
        import numpy as np
        from skerry.serve.model import LoadedModel

        model = LoadedModel.open(Path(sys.argv[1]))
        rows = {"X": np.ones((4, 64), dtype="float32")}
        before = model.answer([rows])[0]["probabilities"]
        assert len(os.listdir("/proc/self/task")) == 1, os.listdir("/proc/self/task")
        for _ in range(3):
            child = os.fork()
            if not child:
                os._exit(0 if (model.answer([rows])[0]["probabilities"] == before).all() else 1)
            assert os.waitpid(child, 0)[1] == 0
        """
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "SKERRY_THREADS": "1"}  # as a worker has them
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(folder)],
        env={**os.environ, **single},
        check=True,
        timeout=120,
    )
