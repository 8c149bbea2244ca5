"""Inside the sandbox: a proxy's port on the loopback that leads to our proxy's socket, then the job.

Run as `python -I -S forward.py PORT SOCKET PROGRAM ARGUMENTS...`, in a network of its own that has nothing but the loopback.
Promises: standard library only; the port is open before the job starts; bytes pass unread (the proxy on the other side of the
socket, outside, decides). It is no wall: a job that speaks to the socket itself reaches the same proxy.
Does not cover: what may be reached.
"""

from __future__ import annotations

import os
import socket
import sys
import threading


def main(port: int, door: str, argv: list[str]) -> None:
    """Opens the port, leaves a process behind that serves it, and becomes the job."""
    listener = socket.create_server(("127.0.0.1", port))
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid()
            nowhere = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(nowhere, descriptor)
            while True:
                client, _ = listener.accept()
                threading.Thread(target=_serve, args=(client, door), daemon=True).start()
        os._exit(0)
    os.wait()
    listener.close()
    os.execvp(argv[0], argv)  # nosec B606 # no shell on purpose


def _serve(client: socket.socket, door: str) -> None:
    with client, socket.socket(socket.AF_UNIX) as out:
        out.connect(door)
        back = threading.Thread(target=_copy, args=(out, client), daemon=True)
        back.start()
        _copy(client, out)
        back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
