"""tabench: does adapting SAM to several dense tasks work, and can it be reproduced?"""

__version__ = "0.1.0"

try:
    import fcntl  # noqa: F401 - asked for here, since half of the package cannot do without
except ImportError:
    raise SystemExit("tabench runs on Linux and macOS; on Windows, install it in WSL") from None
