"""Rules for names and sizes inside an archive from elsewhere."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from tabench.errors import DataError

MOST_MEMBERS = 500_000
MOST_BYTES = 256 << 30  # unpacked, of all members
LARGEST = 4 << 30  # unpacked, of one member
HOSTILE = "this is not the official archive, or it was tampered with: nothing was unpacked from it"


def safe_name(name: str, archive: str) -> PurePosixPath:
    """The member's path, if it stays inside the folder that it is unpacked into.

    Raises:
        DataError: Absolute, with a drive or a backslash, with '..', or empty.
    """
    path = PurePosixPath(name)
    if "\0" in name or "\\" in name or re.match(r"[A-Za-z]:", name):
        problem = "has a character that no path of the dataset has"
    elif not name:
        problem = "has no name"
    elif path.is_absolute():
        problem = "is an absolute path"
    elif ".." in path.parts:
        problem = "points out of the folder it is unpacked into"
    else:
        return path
    raise DataError(f"member {name!r} {problem}", where=archive, hint=HOSTILE)


class Budget:
    """Counts members and unpacked bytes, and stops an archive that is a bomb.

    Args:
        archive: Path, for messages.
        members: Most members.
        total: Most unpacked bytes of all members.
        largest: Most unpacked bytes of one member.
    """

    def __init__(
        self, archive: str, *, members: int = MOST_MEMBERS, total: int = MOST_BYTES, largest: int = LARGEST
    ) -> None:
        self.archive = archive
        self.limits = (members, total, largest)
        self.members = 0
        self.bytes = 0

    def add(self, name: str, size: int) -> None:
        """Count a member.

        Raises:
            DataError: A limit is passed; names the member and the limit.
        """
        members, total, largest = self.limits
        self.members += 1
        self.bytes += size
        problem = None
        if self.members > members:
            problem = f"is number {self.members}, more than {members} are not unpacked"
        elif size < 0 or size > largest:
            problem = f"unpacks to {size} bytes, at most {largest} are accepted"
        elif self.bytes > total:
            problem = f"brings the unpacked size to {self.bytes} bytes, at most {total} are accepted"
        if problem:
            raise DataError(f"member {name!r} {problem}", where=self.archive, hint=HOSTILE)
