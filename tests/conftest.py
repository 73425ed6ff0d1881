"""Before any test: one thread for torch, since the tests themselves run beside each other."""

import os

# several processes with several spinning threads each are ten times slower than one thread each
os.environ.setdefault("OMP_NUM_THREADS", "1")
