"""An SSH server on loopback, for the example that starts a cluster through SSH."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncssh

from tests.sweeps.cluster.fleets import wait_for


class Server(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return False


async def copy(source: asyncio.StreamReader, sink: Any) -> None:
    while data := await source.read(4096):
        sink.write(data)


@contextmanager
def ssh_server(folder: Path) -> Iterator[int]:
    """A server on loopback that runs commands without asking who connects: its port."""

    async def execute(process: Any) -> None:
        pipe = asyncio.subprocess.PIPE
        command = await asyncio.create_subprocess_shell(
            f"exec {process.command}", stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, cwd=folder
        )
        commands.append(command)
        assert command.stdout is not None
        assert command.stderr is not None
        await asyncio.gather(copy(command.stdout, process.stdout), copy(command.stderr, process.stderr))
        process.exit(await command.wait())

    async def serve() -> None:
        key = asyncssh.generate_private_key("ssh-ed25519")
        listener = await asyncssh.listen("127.0.0.1", 0, server_factory=Server, server_host_keys=[key],
                                         process_factory=execute, encoding=None)  # fmt: skip
        ports.append(listener.get_port())
        await stopped.wait()
        for command in commands:
            if command.returncode is None:
                command.kill()
                await command.wait()
        listener.close()
        await listener.wait_closed()

    ports: list[int] = []
    commands: list[asyncio.subprocess.Process] = []
    stopped = asyncio.Event()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    wait_for(lambda: ports)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join()
        loop.close()
