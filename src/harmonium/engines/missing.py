"""What stands in for an engine that does not run on this installation."""

from __future__ import annotations

from typing import Any, NoReturn

from harmonium.engines.engine import Engine
from harmonium.errors import EngineUnavailable


def missing_engine(name: str, reason: ImportError) -> type[Engine]:
    """An engine of that name whose every use is refused."""
    message = (
        f"The {name} engine must have its compiled extension. Got: {reason}. Install Harmonium where there is a C++ "
        'compiler, or pass engine="numpy".'
    )

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise EngineUnavailable(message)

    return type(
        "MissingEngine", (Engine,), {"name": name, "__init__": refuse, "log_partition_block": staticmethod(refuse)}
    )
