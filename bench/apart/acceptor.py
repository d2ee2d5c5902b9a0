"""`python -m bench.apart.acceptor FOLDER`: the first plan of the district there and its apply, as an operator releases them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench.scratch import first_apply


def main(folder: Path) -> None:
    """Apply, and tell how much that was."""
    accounts, changes = first_apply(folder)
    print(json.dumps({"accounts": accounts, "changes": changes}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
