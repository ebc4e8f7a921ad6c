"""Wheels for the tests that install libraries: no package index is asked, whose speed and presence are not ours."""

import importlib.metadata
import os
import re
import zipfile

# Programs, what pip itself made, and what nothing here imports and takes long to compile.
LEFT_OUT = {"..", "__pycache__", "tests", "transformers", "quantization", "tools", "f2py", "distutils", "lexers"}
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def pip_settings(folder):
    """Return the variables with which pip finds a folder's wheels, and nothing else."""
    found = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": os.devnull}
    return {**found, "PIP_NO_COMPILE": "no"}  # which means that it does not: most of the modules are never imported


def make_wheel(folder, name, version):
    """Write the wheel of a library that knows nothing but its version."""
    info = f"{name}-{version}.dist-info"
    _write(
        folder / f"{name}-{version}-py3-none-any.whl",
        {
            f"{name}.py": f"__version__ = {version!r}\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/RECORD": "",
        },
    )


def pack_installed(folder, *names):
    """Write the wheels of libraries and of all that these require, from the files installed here; not of Skerry."""
    seen = {}
    for name in names:
        _collect(name, seen)
    for name, distribution in seen.items():
        if name != "skerry":
            _pack(folder, distribution)


def _collect(name, seen):
    if name in seen:
        return
    seen[name] = distribution = importlib.metadata.distribution(name)
    for line in distribution.requires or []:
        requirement, _, marker = line.partition(";")
        if "extra" not in marker and "python_version" not in marker and "platform" not in marker:
            _collect(_NAME.match(requirement)[0], seen)


def _pack(folder, distribution):
    wheel = distribution.read_text("WHEEL")
    tags = [line.partition(":")[2].strip().split("-") for line in wheel.splitlines() if line.startswith("Tag:")]
    tag = "-".join(".".join(dict.fromkeys(part)) for part in zip(*tags, strict=True))
    name = re.sub(r"[-.]+", "_", distribution.metadata["Name"])
    files = {}
    for file in distribution.files:
        if LEFT_OUT.isdisjoint(file.parts):
            files[str(file)] = file.locate().read_bytes()
    _write(folder / f"{name}-{distribution.version}-{tag}.whl", files)


def _write(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
