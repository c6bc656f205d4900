"""The core of iOps Dashboard: `domain` (pure), `ports`, `services`, `adapters`, `runtime`, `handlers`, `ml`."""

import os

# The product's matrices are small and its processes share few cores: threads of OpenBLAS would wait for each other in busy
# loops, also in an engine that has nothing to do. Read when numpy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
