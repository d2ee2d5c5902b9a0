"""`python bench/launch.py COMMAND…` runs the command; says how long it took, start to exit, how much memory it held, what it said.

A process of its own, small and without imports from anywhere: Linux counts the memory of the process that started a command as the
command's own peak until it has loaded its program, so a large process must not start it itself.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

started = time.perf_counter()
ended = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, text=True, check=False)
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
print(json.dumps({"code": ended.returncode, "seconds": seconds, "bytes": peak, "said": ended.stdout}))
