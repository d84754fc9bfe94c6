#!/usr/bin/env python3
"""Writes what the program is made of as a CycloneDX 1.6 document, from Cargo's own resolution.

    deploy/sbom.py [TARGET] > sbom.json

What only tests use is left out. Needs Cargo and nothing else. The same Cargo.lock gives the same document, byte for byte.
"""

import json
import pathlib
import subprocess
import sys
import tomllib
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[1]
# What the sidecar's image is built with.
FEATURES = ["--no-default-features", "--features", "otel"]
# Written with a slash by older crates; it means either.
EXPRESSION = str.maketrans({"/": " OR "})


def metadata(target):
    words = ["cargo", "metadata", "--format-version", "1", "--locked", *FEATURES, "--filter-platform", target]
    return json.loads(subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def compiled(target):
    """Names and versions that are compiled. `cargo metadata` also resolves optional crates that no feature switches on."""
    words = ["cargo", "tree", "--locked", *FEATURES, "--edges", "normal,build", "--target", target]
    words += ["--prefix", "none", "--format", "{p}"]
    lines = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")
    return {(name, version.lstrip("v")) for name, version, *_ in (line.split() for line in lines if line)}


def used(resolved, packages, wanted):
    """What the program and its build reach, by package, with what each depends on."""
    nodes = {node["id"]: node for node in resolved["nodes"]}
    is_wanted = lambda package: (packages[package]["name"], packages[package]["version"]) in wanted
    found, ahead = {}, [resolved["root"]]
    while ahead:
        package = ahead.pop()
        if package not in found:
            kinds = lambda edge: any(kind["kind"] != "dev" for kind in edge["dep_kinds"])
            found[package] = sorted(edge["pkg"] for edge in nodes[package]["deps"] if kinds(edge) and is_wanted(edge["pkg"]))
            ahead += found[package]
    return found


def component(package, checksums):
    name, version = package["name"], package["version"]
    made = {"type": "library", "name": name, "version": version}
    made["bom-ref"] = made["purl"] = f"pkg:cargo/{name}@{version}"
    if checksum := checksums.get((name, version)):
        made["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if package["license"]:
        made["licenses"] = [{"expression": " ".join(package["license"].translate(EXPRESSION).split())}]
    return made


def document(target):
    described = metadata(target)
    packages = {package["id"]: package for package in described["packages"]}
    lock = (ROOT / "Cargo.lock").read_text()
    checksums = {(entry["name"], entry["version"]): entry.get("checksum") for entry in tomllib.loads(lock)["package"]}
    reached = used(described["resolve"], packages, compiled(target))
    made = {package: component(packages[package], checksums) for package in sorted(reached)}
    root = {**made.pop(described["resolve"]["root"]), "type": "application"}
    dependencies = [
        {
            "ref": f"pkg:cargo/{packages[package]['name']}@{packages[package]['version']}",
            "dependsOn": [f"pkg:cargo/{packages[other]['name']}@{packages[other]['version']}" for other in others],
        }
        for package, others in sorted(reached.items())
    ]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, target + lock)}",
        "version": 1,
        "metadata": {"component": root, "properties": [{"name": "target", "value": target}]},
        "components": list(made.values()),
        "dependencies": dependencies,
    }


if __name__ == "__main__":
    json.dump(document((sys.argv[1:] or ["x86_64-unknown-linux-gnu"])[0]), sys.stdout, indent=1)
    sys.stdout.write("\n")
