"""Running programs that nobody has read, under limits, or not at all.

Promises: a job runs inside walls that were tried from inside when the daemon started, or it is refused (`SandboxUnavailable`);
`sandbox.py` is the socket, `choose.py` picks the plug. Does not cover: faults of the kernel itself; a virtual machine would.
"""
