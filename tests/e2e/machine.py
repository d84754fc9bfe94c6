"""The machine of the pod test: podman, pods with a loopback of their own, and relays between pods.

Each pod has its own network namespace with loopback only. `Relay` acts as the cluster's network between two pods: it listens in
one namespace, connects in the other and copies bytes, so TLS runs from end to end.
"""

import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import socket
import subprocess
import threading
import time

PREFIX = "wonder-e2e-"
_libc = ctypes.CDLL(None, use_errno=True)
_NEWNET = 0x40000000


class Failed(Exception):
    """A failed check; the text has the observed value."""


def expect(what, seen, wanted):
    if seen != wanted:
        raise Failed(f"{what}: {seen!r} instead of {wanted!r}"[:2000])


def run(*words, check=True, feed=None, env=None, timeout=120):
    """Runs a program and returns its result; a failure includes the program's output."""
    done = subprocess.run(
        [str(word) for word in words], input=feed, env=env, timeout=timeout, text=True, capture_output=True, check=False
    )
    if check and done.returncode != 0:
        raise Failed(f"{words[0]} {words[1]} ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done


def podman(*words, **more):
    return run("podman", *words, **more)


def until(what, question, patience=20.0):
    """Calls `question` until its result is true, and returns it."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        answer = question()
        if answer:
            return answer
        time.sleep(0.01)
    raise Failed(f"not within {patience:g} s: {what}")


class Namespace:
    """The network namespace of a process."""

    def __init__(self, pid):
        self.fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)

    def socket(self):
        """A socket in the namespace; the calling thread stays in its own."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            self._enter(self.fd)
            try:
                return socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            finally:
                self._enter(own)
        finally:
            os.close(own)

    @staticmethod
    def _enter(fd):
        if _libc.setns(fd, _NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    def connect(self, port, patience=60):
        link = self.socket()
        link.settimeout(patience)
        try:
            link.connect(("127.0.0.1", port))
        except OSError:
            link.close()
            raise
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return link

    def client(self, port, patience=60):
        """An HTTP connection to a port of the pod."""
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=patience)
        client.sock = self.connect(port, patience)
        return client

    def ask(self, port, method, target, body=None, headers=None):
        """One request over a connection of its own: status, headers, body."""
        client = self.client(port)
        try:
            client.request(method, target, body, headers or {})
            answer = client.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            client.close()

    def listens(self, port):
        try:
            self.connect(port).close()
            return True
        except ConnectionRefusedError:
            return False

    def answers(self, port, target):
        try:
            return self.ask(port, "GET", target)[0] == 200
        except OSError:
            return False


class Pod:
    """A pod that `podman kube play` runs, from manifests as Kubernetes objects."""

    def __init__(self, name, objects):
        import yaml

        self.name = PREFIX + name
        podman("kube", "play", "--network", "none", "-", feed=yaml.safe_dump_all(objects))
        infra = json.loads(podman("pod", "inspect", self.name).stdout)["InfraContainerID"]
        self.namespace = Namespace(json.loads(podman("inspect", infra).stdout)[0]["State"]["Pid"])

    def container(self, name):
        return f"{self.name}-{name}"

    def inspect(self, name):
        return json.loads(podman("inspect", self.container(name)).stdout)[0]

    def pid(self, name):
        return self.inspect(name)["State"]["Pid"]

    def logs(self, name):
        done = podman("logs", self.container(name))
        return done.stdout + done.stderr

    def execute(self, name, *words, check=False):
        return podman("exec", self.container(name), *words, check=check)

    def signal(self, name, signal="TERM"):
        podman("kill", "--signal", signal, self.container(name))

    def ended(self, name, patience=40.0):
        """Waits for the end of a container and gives its exit code."""
        state = until(
            f"{self.container(name)} ends",
            lambda: (lambda state: state if state["Status"] == "exited" else None)(self.inspect(name)["State"]),
            patience,
        )
        return state["ExitCode"]

    def remove(self):
        os.close(self.namespace.fd)
        podman("pod", "rm", "--force", "--time", "0", self.name, check=False)


def sweep():
    """Removes the pods of an interrupted run, which it recognises by their prefix."""
    for name in podman("pod", "ps", "--format", "{{.Name}}").stdout.split():
        if name.startswith(PREFIX):
            podman("pod", "rm", "--force", "--time", "0", name, check=False)


@contextlib.contextmanager
def favoured():
    """Gives our pods and this process priority over other programs."""
    controls = [pathlib.Path("/sys/fs/cgroup/cpu/libpod_parent/cpu.shares")]
    controls += [pathlib.Path("/sys/fs/cgroup/libpod_parent/cpu.weight")]
    before = {control: control.read_text() for control in controls if control.exists()}
    for control in before:
        control.write_text("10000")
    own = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, -20)
    for task in os.listdir("/proc/self/task"):
        os.setpriority(os.PRIO_PROCESS, int(task), -20)
    try:
        yield
    finally:
        for task in os.listdir("/proc/self/task"):
            os.setpriority(os.PRIO_PROCESS, int(task), own)
        for control, value in before.items():
            control.write_text(value)


class Relay:
    """Connects a port of one pod's loopback with a port of another's. It can hold answers back, so that requests stay in flight."""

    def __init__(self, source, target, port):
        self.target, self.port = target, port
        self.listener = source.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", port))
        self.listener.listen(128)
        self.flowing = threading.Event()
        self.flowing.set()
        self.links = []
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self):
        self.flowing.clear()

    def release(self):
        self.flowing.set()

    def close(self):
        self.release()
        # Wakes the thread in accept.
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for link in self.links:
            link.close()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = self.target.connect(self.port)
            except OSError:
                near.close()
                continue
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            near.settimeout(None)
            far.settimeout(None)
            self.links += [near, far]
            threading.Thread(target=self._copy, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self._copy, args=(far, near, True), daemon=True).start()

    def _copy(self, source, sink, answers):
        try:
            while piece := source.recv(65536):
                if answers:
                    self.flowing.wait()
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
