"""One process of several: digests of results on the distributed engine, as JSON; started by `test_torch.py`."""

import json
import sys
import warnings

import golden_results
import results
import torch

from harmonium.engines import find_engine

torch.set_num_threads(1)
warnings.simplefilter("ignore")
with golden_results.default_engine(find_engine("torch:distributed")):
    print(json.dumps(results.digests(sys.argv[1:])))
torch.distributed.destroy_process_group()
