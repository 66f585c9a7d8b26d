"""Writes a docker-archive of a Nix store, as nixpkgs' dockerTools does it: each path
is a layer, which goes through tarfile twice, to hash it and into the archive.

usage: docker_archive.py STORE ARCHIVE
"""

import hashlib
import io
import json
import os
import sys
import tarfile
import threading


class Sum:
    def __init__(self):
        self.sum, self.size = hashlib.sha256(), 0

    def write(self, data):
        self.sum.update(data)
        self.size += len(data)


def write_layer(to, path):
    with tarfile.open(fileobj=to, mode="w|") as layer:
        layer.add(path, arcname=os.path.relpath(path, store + "/../.."))


def add(name, document):
    content = json.dumps(document).encode()
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


store, file = sys.argv[1:]
hashes = []
with tarfile.open(file, mode="w|") as archive:
    for name in sorted(os.listdir(store)):
        known = Sum()
        write_layer(known, os.path.join(store, name))
        hashes.append(known.sum.hexdigest())
        info = tarfile.TarInfo(hashes[-1] + "/layer.tar")
        info.size = known.size
        reader, writer = os.pipe()
        with open(reader, "rb") as layer, open(writer, "wb") as to:
            def write():
                with to:
                    write_layer(to, os.path.join(store, name))
            thread = threading.Thread(target=write)
            thread.start()
            archive.addfile(info, layer)
            thread.join()
    layers = ["sha256:" + h for h in hashes]
    add("config.json", {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": layers}})
    add("manifest.json", [{"Config": "config.json", "Layers": [h + "/layer.tar" for h in hashes]}])
