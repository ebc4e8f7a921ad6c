"""A root file system with this Python and nothing else: a base for machines without a registry.

It holds the interpreter, its standard library, the shared libraries that these need, certificates and time zones; no
shell, no package manager, no ``site-packages``.
"""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

from skerry.errors import ConfigError
from skerry.platforms.images.bytecode import compile_folder
from skerry.platforms.images.layer import Member, list_members

# Of the standard library: its own tests, what needs a screen, what installs packages, and what builds extensions.
LEFT_OUT = frozenset({"site-packages", "dist-packages", "__pycache__", "idlelib", "tkinter", "turtledemo", "ensurepip"})
# What wheels for Linux (manylinux) expect of every system, and what looks up names, which no ELF header mentions.
EXPECTED = (
    "libstdc++.so.6",
    "libgcc_s.so.1",
    "libm.so.6",
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
    "libutil.so.1",
    "libresolv.so.2",
    "libnss_dns.so.2",
    "libnss_files.so.2",
)
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
_LINE = re.compile(r"(?:\S+ => )?(/\S+) \(0x[0-9a-f]+\)")
_FILES = {
    "etc/passwd": b"root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n",
    "etc/group": b"root:x:0:\nnonroot:x:65532:\n",
    "etc/nsswitch.conf": b"hosts: files dns\n",
}


def collect_interpreter(workspace: Path) -> Iterator[Member]:
    """Yield the files of a root file system around the Python that runs this.

    Args:
        workspace: An empty folder for copies, needed until the files have been read.

    Raises:
        ConfigError: this system has no ``ldd``, which finds the shared libraries.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    binary = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix})).resolve()
    copy = workspace / "stdlib"
    shutil.copytree(library, copy, symlinks=False, ignore=_ignore(library))
    compile_folder(copy, f"/usr/local/lib/{version}")
    yield from list_members(copy, f"usr/local/lib/{version}")
    yield Member(path=f"usr/local/bin/{version}", source=binary, mode=0o755)
    for name in ("python3", "python"):
        yield Member(path=f"usr/local/bin/{name}", link=version, mode=0o777)
    yield from _shared_libraries([binary, *sorted(copy.glob("lib-dynload/*.so"))])
    yield from (Member(path=path, source=content) for path, content in _FILES.items())
    yield Member(path="tmp", mode=0o1777)
    certificates = _certificates()
    if certificates is not None:
        yield Member(path=CERTIFICATES, source=certificates)
    zones = Path("/usr/share/zoneinfo")
    if zones.is_dir():
        yield from list_members(zones, "usr/share/zoneinfo", without=frozenset({"posix", "right", "localtime"}))


def _ignore(library: Path) -> Callable[[str, list[str]], set[str]]:
    def left_out(where: str, names: list[str]) -> set[str]:
        top = Path(where) == library
        return {
            name
            for name in names
            if name in LEFT_OUT or name.endswith(".a") or (top and (name == "test" or name.startswith("config-")))
        }

    return left_out


def _shared_libraries(files: list[Path]) -> Iterator[Member]:
    """Yield the libraries that files need, all in the folder of the C library, where the loader always looks."""
    found: dict[str, Path] = {}
    loader = ""
    for file in files:
        for path in _needed(file):
            if Path(path).name.startswith("ld-"):
                loader = path
            else:
                found.setdefault(Path(path).name, Path(path))
    libc = next((path for name, path in found.items() if name.startswith("libc.")), None)
    if libc is None:
        raise ConfigError("the C library of this Python was not found by ldd", hint="name a base image with --base")
    folders = (libc.parent, Path("/usr") / libc.parent.relative_to("/"), Path("/usr/lib64"), Path("/usr/lib"))
    for name in EXPECTED:
        place = next((folder / name for folder in folders if (folder / name).exists()), None)
        if place is not None:
            found.setdefault(name, place)
    where = str(libc.parent).strip("/")
    for name, library in sorted(found.items()):
        yield Member(path=f"{where}/{name}", source=library.resolve(), mode=0o755)
    if loader:
        yield Member(path=loader.strip("/"), source=Path(loader).resolve(), mode=0o755)


def _needed(file: Path) -> list[str]:
    ldd = shutil.which("ldd")
    if ldd is None:
        raise ConfigError("there is no ldd here to find shared libraries with", hint="name a base image with --base")
    listed = subprocess.run([ldd, str(file)], capture_output=True, text=True, check=False, env={"LC_ALL": "C"})
    return [match[1] for line in listed.stdout.splitlines() if (match := _LINE.match(line.strip()))]


def _certificates() -> Path | None:
    paths = ssl.get_default_verify_paths()
    for path in (os.path.join("/", CERTIFICATES), paths.cafile, paths.openssl_cafile, "/etc/pki/tls/cert.pem"):
        if path and Path(path).is_file():
            return Path(path).resolve()
    return None
