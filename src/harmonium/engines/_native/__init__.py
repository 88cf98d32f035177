"""The compiled extension `_kernels`, and what its threads are told before it is loaded."""

import os

# GNU OpenMP's threads busy-wait for milliseconds by default, which on a machine with other work to do makes every
# step wait for the scheduler. This much (a fraction of a millisecond) covers the time between two calls. OpenMP reads
# it when the extension is loaded; whoever has chosen a policy keeps it.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
