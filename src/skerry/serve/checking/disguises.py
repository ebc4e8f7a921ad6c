"""What a file is by its first bytes, for files that are called a model and are something else."""

from __future__ import annotations

import re

HEAD_BYTES = 512
_EXPORT = (
    "export it to ONNX from Python: skerry.serve.push(name, model, sample=rows), "
    "or skerry models push NAME FILE.py:MODEL"
)
_PICKLE = f"which runs whatever its author wrote when it is opened, and is never loaded here; {_EXPORT}"
_UNPACK = "archives are never unpacked here; give the .onnx file itself, or a folder with model.onnx"

# Protocols 0 and 1 are text: they begin with a global or with an empty container and where to keep it.
_OLD_PICKLE = re.compile(rb"c[A-Za-z_][\w.]*\n[A-Za-z_]\w*\n|\([dl]p\d+\n|\(i[A-Za-z_][\w.]*\n|\]q\x00|\}q\x00")

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x1f\x8b", f"a gzip archive; {_UNPACK}"),
    (0, b"BZh", f"a bzip2 archive; {_UNPACK}"),
    (0, b"\xfd7zXZ\x00", f"an xz archive; {_UNPACK}"),
    (0, b"\x28\xb5\x2f\xfd", f"a Zstandard archive; {_UNPACK}"),
    (0, b"\x04\x22\x4d\x18", f"an LZ4 archive; {_UNPACK}"),
    (0, b"7z\xbc\xaf\x27\x1c", f"a 7z archive; {_UNPACK}"),
    (257, b"ustar", f"a tar archive; {_UNPACK}"),
    (0, b"\x78\x01", f"zlib data, such as joblib writes: a compressed pickle, {_PICKLE}"),
    (0, b"\x78\x5e", f"zlib data, such as joblib writes: a compressed pickle, {_PICKLE}"),
    (0, b"\x78\x9c", f"zlib data, such as joblib writes: a compressed pickle, {_PICKLE}"),
    (0, b"\x78\xda", f"zlib data, such as joblib writes: a compressed pickle, {_PICKLE}"),
    (0, b"\x93NUMPY", "a NumPy array, not a model"),
    (0, b"\x89HDF\r\n", "an HDF5 file, such as Keras writes; export it to ONNX with tf2onnx"),
    (0, b"GGUF", "a GGUF file, which ONNX Runtime does not open"),
    (4, b"TFL3", "a TensorFlow Lite model; export it to ONNX with tf2onnx"),
    (4, b"ORTM", "a model in ONNX Runtime's own .ort format, which holds for one release only; give the .onnx file"),
    (8, b'{"', "a safetensors file: weights without the model; export the model to ONNX"),
    (0, b"\x7fELF", "a program, not a model"),
    (0, b"#!", "a script, not a model"),
    (0, b"version https://git-lfs", "a pointer of Git LFS, not the file itself; fetch it with: git lfs pull"),
    (0, b"<", "a text in HTML or XML, not a model; was it downloaded from a page that asks to log in?"),
    (0, b"{", "a text, such as JSON, not a model"),
)


def name_disguise(head: bytes) -> str | None:
    """Return what a file is when it is certainly no ONNX model, with the way out; else None.

    Args:
        head: The first `HEAD_BYTES` of the file, or all that there are.
    """
    if not head:
        return "empty"
    if head[0] == 0x80 and len(head) > 1 and 2 <= head[1] <= 5:
        return f"a Python pickle (protocol {head[1]}), {_PICKLE}"
    if _OLD_PICKLE.match(head):
        return f"a Python pickle (protocol 0 or 1), {_PICKLE}"
    if head.startswith(b"PK\x03\x04"):
        return _name_zip(head)
    return next((words for at, magic, words in _MAGIC if head[at:].startswith(magic)), None)


def _name_zip(head: bytes) -> str:
    length = int.from_bytes(head[26:28], "little")
    first = head[30 : 30 + length]
    if first.endswith((b".pkl", b".data", b"/version", b"constants.pkl", b".format_version")):
        return f"a PyTorch archive: a ZIP file around a pickle, {_PICKLE}"
    if first.endswith(b".npy"):
        return "an .npz file: NumPy arrays, not a model"
    return f"a ZIP archive; {_UNPACK}"
