"""The images of the pod test, built without pulling a base image."""

import glob
import os
import pathlib
import shutil
import tempfile

from machine import podman, run

SIGNER = "localhost/wonder-signer:0.1.0"
SIMULATOR = "localhost/wonder-simulator:0.1.0"
APP = "localhost/example-app:0.1.0"
# The part of `python:slim` that the example needs: unpacked Debian packages.
PACKAGES = (
    "python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libc6 libssl3 libexpat1 zlib1g libffi8 liblzma5"
    " libbz2-1.0 libuuid1"
).split()


def program(root, binary, image, target):
    """Builds a runtime stage of the shipped Containerfile around a built program; returns the image's size."""
    with tempfile.TemporaryDirectory() as context:
        shutil.copy(binary, f"{context}/program")
        # Removes the images of earlier runs.
        podman("rmi", "--force", image, check=False)
        words = ["--target", target, "--build-arg", "BINARY=program", "--tag", image]
        podman("build", "--quiet", *words, "--file", root / "deploy/Containerfile", context, timeout=300)
    return int(podman("image", "inspect", "--format", "{{.Size}}", image).stdout)


def app(root, work):
    """The example's own Containerfile on a base made here."""
    system = work / "python-root"
    if not (system / "usr/bin/python3").exists():
        shutil.rmtree(system, ignore_errors=True)
        packages = work / "packages"
        packages.mkdir(exist_ok=True)
        os.chmod(packages, 0o777)
        cache = os.getcwd()
        try:
            os.chdir(packages)
            run("apt-get", "-o", "Acquire::Retries=3", "update", "-qq", timeout=300)
            run("apt-get", "-o", "Acquire::Retries=3", "download", *PACKAGES, timeout=300)
        finally:
            os.chdir(cache)
        for package in glob.glob(f"{packages}/*.deb"):
            run("dpkg-deb", "--extract", package, system)
        (system / "usr/bin/python3").symlink_to("python3.11")
    base = "localhost/python-base:latest"
    file = work / "Containerfile.base"
    file.write_text("FROM scratch\nCOPY . /\nENV PATH=/usr/bin\n")
    podman("build", "--quiet", "--tag", base, "--file", file, system, timeout=300)
    context = root / "deploy/kubernetes/example-app/app"
    podman("build", "--quiet", "--from", base, "--tag", APP, context, timeout=300)


def keys(binary, work, name):
    """A key pair and an AppID in the form of a mounted Secret: files of root, mode 0440."""
    import uuid

    directory = pathlib.Path(work / "keys" / name)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    run(binary, "keygen", "--out", directory)
    public = directory.parent / f"{name}.pem"
    (directory / "public_key.pem").rename(public)
    os.chmod(public, 0o444)
    app_id = str(uuid.uuid4())
    (directory / "app_id").write_text(app_id + "\n")
    for file in directory.iterdir():
        os.chmod(file, 0o440)
    return directory, app_id
