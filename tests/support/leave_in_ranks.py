"""Two ranks that do not end at the same time, for the test of the end of a group.

python tests/support/leave_in_ranks.py late|failed FOLDER
"""

import sys
import time
from pathlib import Path

import torch

from swiss_training.distributed import ranks


def main() -> None:
    """Let rank 0 end late or fail; rank 1 writes which files there are when it has left."""
    way, folder = sys.argv[1], Path(sys.argv[2])
    with ranks.join():
        ranks.add_up(torch.ones(1))
        first = ranks.is_first()
        if first:
            if way == "failed":
                ranks.start_sum(torch.ones(1))  # which the other rank never begins
                raise SystemExit(3)
            time.sleep(1)
            (folder / "late").touch()
        elif way == "failed":
            time.sleep(1)
    if not first:
        (folder / "seen").write_text(str(sorted(path.name for path in folder.iterdir())))


if __name__ == "__main__":
    main()
