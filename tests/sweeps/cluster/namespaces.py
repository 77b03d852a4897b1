"""Network namespaces: machines with addresses of their own, on this machine. Linux, as root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

SUBNET = "198.18.{0}"  # Reserved for tests of network devices (RFC 2544).


class NotPermitted(Exception):
    """This user or container may make no network namespaces."""


@contextmanager
def network(hosts: int) -> Iterator[list[tuple[str, list[str]]]]:
    """The address of each host and the start of commands that run there. This machine, as `.1`, is in their network."""
    name, subnet = f"ms{os.getpid() % 100000}", SUBNET.format(os.getpid() % 250)
    with ExitStack() as stack:
        _ip(f"link add {name}br type bridge")
        stack.callback(_ip, f"link delete {name}br")
        _ip(f"addr add {subnet}.1/24 dev {name}br")
        _ip(f"link set {name}br up")
        found = []
        for number in range(2, hosts + 2):
            space, ours = f"{name}-{number}", f"{name}v{number}"
            _ip(f"netns add {space}")
            stack.callback(_ip, f"netns delete {space}")
            _ip(f"link add {ours} type veth peer name eth0 netns {space}")
            _ip(f"link set {ours} master {name}br up")
            for command in (f"addr add {subnet}.{number}/24 dev eth0", "link set eth0 up", "link set lo up"):
                _ip(f"-n {space} {command}")
            found.append((f"{subnet}.{number}", ["ip", "netns", "exec", space]))
        yield found


def _ip(command: str) -> None:
    try:
        subprocess.run(["ip", *command.split()], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotPermitted(f"ip {command}: {getattr(error, 'stderr', error) or error}".strip()) from None
