"""Before any test: one thread for torch, as tests run beside each other, and no deadlines."""

import os

from hypothesis import settings

# several processes with several spinning threads each are ten times slower than one thread each
os.environ.setdefault("OMP_NUM_THREADS", "1")

# how long an example takes depends on what else the machine does
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
