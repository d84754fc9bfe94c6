"""Processor, memory and thread usage of a process in a container, from /proc and its control group."""

import os
import pathlib
import re


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid):
    """Current resident memory in bytes."""
    return _memory(pid, "VmRSS")


def peak_memory(pid):
    """Peak memory in bytes as the limit counts it, if there is a control group."""
    return max(int(_cgroup(pid, "memory", ["memory.max_usage_in_bytes", "memory.peak"]) or 0), _memory(pid, "VmHWM"))


def peak_resident(pid):
    """Peak resident memory of the process alone, in bytes."""
    return _memory(pid, "VmHWM")


def throttled(pid):
    """How often the CPU limit throttled it, or None without a limit."""
    count = re.search(r"nr_throttled (\d+)", _cgroup(pid, "cpu", ["cpu.stat"]) or "")
    return int(count[1]) if count else None


def threads(pid, name):
    """How many of its threads have this name."""
    return sum(path.read_text().strip() == name for path in pathlib.Path(f"/proc/{pid}/task").glob("*/comm"))


def _memory(pid, field):
    return int(re.search(rf"{field}:\s*(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) * 1024


def _cgroup(pid, controller, files):
    """The first existing file of `files` in the container's control group, of version 1 or 2."""
    for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for home in (f"/sys/fs/cgroup/{controller}", "/sys/fs/cgroup"):
            for file in files:
                found = pathlib.Path(home + path) / file
                if controller in controllers.split(",") + [""] and found.exists():
                    return found.read_text()
    return None
