"""Files: crash-safe writing and the validated tensor format."""

from harmonium.io.atomic import atomic_write
from harmonium.io.plain import to_json
from harmonium.io.tensor_file import read_tensors, write_tensors

__all__ = ["atomic_write", "read_tensors", "to_json", "write_tensors"]
