"""The bill of materials that deploy/sbom.py writes is valid, repeatable, and lists exactly the crates of the built program."""

import json
import os
import shutil
import sys
import tempfile
import tomllib

from machine import Failed, expect, run

HERE = f"{os.uname().machine}-unknown-linux-gnu"


def check(root, build):
    """`build` has Cargo's JSON messages of the program's build. It may be missing."""
    counts = []
    for target in ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"):
        text = written(root, target)
        valid(text)
        bill = json.loads(text)
        hashed_as_locked(bill, root)
        connected(bill)
        named = {(part["name"], part["version"]) for part in bill["components"]}
        expect(f"only in the bill or only in `cargo tree`, {target}", named ^ in_tree(root, target), set())
        counts.append(f"{len(named)} crates for {target}")
        if target == HERE and build.exists():
            expect("only in the bill or only in the build", named ^ compiled(build), set())
            counts[-1] += ", the same as were compiled"
    return "; ".join(counts) + "; " + repeatable(root)


def written(root, target=HERE, **environment):
    return run(sys.executable, root / "deploy/sbom.py", target, env={**os.environ, **environment}).stdout


def valid(text):
    """Checks the schema, and the licences against SPDX, because the schema does not cover them."""
    import license_expression
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise Failed(f"not a CycloneDX 1.6 document: {error}")
    spdx = license_expression.get_spdx_licensing()
    for part in json.loads(text)["components"]:
        for licence in part["licenses"]:
            if errors := spdx.validate(licence["expression"]).errors:
                raise Failed(f"licence of {part['name']}: {errors}")


def hashed_as_locked(bill, root):
    """Every component is in Cargo.lock with the same checksum."""
    lock = tomllib.loads((root / "Cargo.lock").read_text())["package"]
    locked = {(entry["name"], entry["version"], entry.get("checksum")) for entry in lock}
    hashed = {(part["name"], part["version"], part["hashes"][0]["content"]) for part in bill["components"]}
    expect("not in Cargo.lock", hashed - locked, set())


def connected(bill):
    """Every component can be reached from the program, through dependencies that are components themselves."""
    edges = {entry["ref"]: entry["dependsOn"] for entry in bill["dependencies"]}
    found, ahead = set(), [bill["metadata"]["component"]["bom-ref"]]
    while ahead:
        ref = ahead.pop()
        if ref not in found:
            found.add(ref)
            ahead += edges[ref]
    expect("not reached", {part["bom-ref"] for part in bill["components"]} - found, set())
    expect("dependencies of an unnamed component", set(edges) - found, set())


def in_tree(root, target):
    words = ["--locked", "--no-default-features", "--features", "otel", "--edges", "normal,build", "--target", target, "--prefix", "none"]
    lines = run("cargo", "tree", "--manifest-path", root / "Cargo.toml", *words).stdout.splitlines()
    parts = {tuple(line.split()[:2]) for line in lines if line}
    return {(name, version.removeprefix("v")) for name, version in parts if name != "wonder-signer"}


def compiled(build):
    messages = [json.loads(line) for line in build.read_text().splitlines()]
    ids = {message["package_id"] for message in messages if message["reason"] == "compiler-artifact"}
    return {tuple(package.rsplit("#", 1)[1].split("@")) for package in ids if not package.startswith("path+")}


def repeatable(root):
    """The same bytes in another directory, with another hash seed and another locale."""
    with tempfile.TemporaryDirectory() as elsewhere:
        copy = f"{elsewhere}/of it"
        shutil.copytree(root, copy, ignore=shutil.ignore_patterns("target", ".git"))
        environment = {"PYTHONHASHSEED": "7", "LC_ALL": "C", "TZ": "Asia/Kathmandu"}
        again = written(type(root)(copy), **environment)
    if again != written(root):
        raise Failed("another document for the same Cargo.lock")
    return "the same bytes in another directory"
