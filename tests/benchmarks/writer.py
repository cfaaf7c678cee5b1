"""The cost of writing a step: `python tests/benchmarks/writer.py`, see `--help`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(1, str(Path(__file__).parents[1] / "fixtures"))  # as pytest does
    from writer_speed.command import main

    raise SystemExit(main())
