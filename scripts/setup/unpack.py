"""Unpacks from wheels only what the backend needs: unpack.py LIBRARY_DIR HEADER_DIR WHEEL...

Libraries keep pip's layout (tensorflow/..., nvidia/<part>/...), because libtensorflow finds CUDA relative to itself.
Members are streamed, so memory stays small whatever their size.
"""

import os
import shutil
import sys
import zipfile

HEADERS = "tensorflow/include/"
HEADER_FOLDERS = ("tensorflow/c/", "tensorflow/core/platform/", "tensorflow/compiler/xla/", "xla/", "tsl/", "tensorflow/tsl/")
LIBRARIES = ("tensorflow/libtensorflow_cc.so.2", "tensorflow/libtensorflow_framework.so.2")


def destination(name, library_dir, header_dir):
    if name in LIBRARIES:
        return os.path.join(library_dir, name)
    if name.startswith("nvidia/") and "/include/" not in name and not name.endswith((".py", ".a")):
        return os.path.join(library_dir, name)
    if name.startswith(HEADERS) and name[len(HEADERS):].startswith(HEADER_FOLDERS):
        return os.path.join(header_dir, name[len(HEADERS):])
    return None


def main(library_dir, header_dir, wheels):
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                if member.is_dir() or ".." in member.filename.split("/"):
                    continue
                target = destination(member.filename, library_dir, header_dir)
                if target is None:
                    continue
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with archive.open(member) as source, open(target, "wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
                mode = (member.external_attr >> 16) & 0o777
                if mode:
                    os.chmod(target, mode | 0o600)


main(sys.argv[1], sys.argv[2], sys.argv[3:])
