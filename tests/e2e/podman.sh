# Sourced by pod.sh and compose.sh: Debian packages, one run at a time, and limits of containers. Sets CONTAINERS_CONF.

# package_of COMMAND:PACKAGE...: prints the packages whose command is missing.
package_of() {
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || printf ' %s' "${pair#*:}"
    done
}

# install_packages PACKAGE...: installs them with apt-get, or fails.
install_packages() {
    { apt-get -o Acquire::Retries=3 update -qq && DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 install -y -qq --no-install-recommends "$@"; } >&2
}

# one_at_a_time: waits for another run, because names of pods and containers are the same in every run.
one_at_a_time() {
    exec 9>/run/lock/wonder-signer-pods
    flock --timeout 900 9
}

# limit_containers DIRECTORY: a container cannot get more of these than this process may have.
limit_containers() {
    cat >"$1/containers.conf" <<'CONF'
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
CONF
    export CONTAINERS_CONF="$1/containers.conf"
}
