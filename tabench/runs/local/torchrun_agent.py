"""``python -m tabench.runs.local.torchrun_agent PARENT COUNT FOLDER``: torchrun that ends with its starter.

torchrun starts the processes of one cell on this machine and ends all of them when one fails. It would go on
when its own parent is killed, and let the signal that Slurm sends before a time limit kill it.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

from tabench.runs.deaths import die_with
from tabench.store.streams import steady


def main(words: list[str]) -> None:
    """Start torchrun in this process.

    Args:
        words: The parent's process id, the number of processes, and the folder of the job file.
    """
    parent, count, folder = words
    die_with(int(parent))
    steady()
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # the processes inherit it; the parent is told, and tells
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # they are all here: nothing listens outside
    from torch.distributed.run import main as torchrun

    torchrun(
        [
            # a fixed meeting point: torchrun's others unpickle what any process that finds their port sends
            "--rdzv-backend=static",
            "--master-addr=127.0.0.1",
            f"--master-port={_free_port()}",
            "--nnodes=1",
            f"--nproc-per-node={count}",
            "--max-restarts=0",  # `Retries` decides, and starts all of them anew
            f"--log-dir={folder}",
            "--module",
            "tabench.runs.local.torchrun_process",
            folder,
        ]
    )


def _free_port() -> int:
    """A port of this machine that nobody has; should another process be quicker, the next try finds one."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


if __name__ == "__main__":
    main(sys.argv[1:])
