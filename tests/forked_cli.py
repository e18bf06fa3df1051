"""`ftadvise` for shell blocks: a process that has imported everything is forked for each command.

A page has many commands, and most of the time of each would go into imports. `serve` waits at a
socket; the script that `install` writes stands in for the command: it hands over its arguments,
folder, environment and open files, and exits as the command did. Signals are not passed on.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

WARM = Path(__file__).parent.parent / "examples" / "chat" / "trainer_state.json"
CLIENT = """\
#!{python} -SE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect({path!r})
    said = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(line, [len(said).to_bytes(4, "big")], [0, 1, 2])
    line.sendall(said)
    sys.exit(int(line.recv(4) or b"99"))
"""


def answer(line: socket.socket) -> None:
    """Run one command as the client asks for it, in this process, and tell how it ended."""
    size, files, _, _ = socket.recv_fds(line, 4, 3)
    said = b""
    while len(said) < int.from_bytes(size, "big"):
        said += line.recv(65536)
    arguments, folder, environment = json.loads(said)
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    status: object = 0
    try:
        from ftadvise.cli import main

        main(arguments, prog_name="ftadvise")
    except SystemExit as exit_:
        status = exit_.code
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        line.sendall(str(status if isinstance(status, int) else int(status is not None)).encode())


def serve(path: str) -> None:
    """Import what commands need, then fork for each that comes."""
    from ftadvise.cli import main

    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main(["analyze", str(WARM)], prog_name="ftadvise")  # what is imported late is, by then
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen()
        while True:
            line, _ = door.accept()
            if os.fork() == 0:
                answer(line)
                os._exit(0)
            line.close()
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


@contextlib.contextmanager
def installed(folder: Path) -> Generator[Path]:
    """Start the server, and give a folder for PATH in which `ftadvise` is its client."""
    programs = folder / "bin"
    programs.mkdir()
    door = str(folder / "door")
    client = programs / "ftadvise"
    client.write_text(CLIENT.format(python=sys.executable, path=door))
    client.chmod(0o755)
    command = [sys.executable, __file__, door]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            while not Path(door).exists() and server.poll() is None:
                time.sleep(0.02)
            yield programs
        finally:
            server.terminate()


if __name__ == "__main__":
    serve(sys.argv[1])
