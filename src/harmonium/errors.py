"""The vocabulary of failures: one class per cause, all of them `HarmoniumError`; and of warnings.

Every message says what must hold, what was got, and what to do.
"""


class HarmoniumError(Exception):
    """Base of every error that Harmonium raises on purpose."""


class InvalidData(HarmoniumError, ValueError):
    """An array of data or states breaks the input contract (range, shape, NaN, width)."""


class InvalidParameter(HarmoniumError, ValueError):
    """A hyper-parameter, name or model parameter is outside what is allowed."""


class DataUnavailable(HarmoniumError, LookupError):
    """A named data set or a file is neither present nor obtainable."""


class UnreadableFile(HarmoniumError, ValueError):
    """A file exists but is truncated, of the wrong kind, malformed, or larger than allowed."""


class UnwritableOutput(HarmoniumError, OSError):
    """A result cannot be written where it was asked for."""


class OutOfReach(HarmoniumError):
    """An exact computation would take too long; the message says how long."""


class Unreliable(HarmoniumError):
    """An estimate is not good enough to be used as a bare number."""


class EngineUnavailable(HarmoniumError, ImportError):
    """An engine cannot run on this installation."""


class OutOfMemory(HarmoniumError, MemoryError):
    """A device has too little memory for what was asked for."""


class MissingExtra(HarmoniumError, ImportError):
    """An optional dependency is not installed; the message gives the install command."""


class DataWarning(UserWarning):
    """Data keep the contract, and nothing can be learnt from them."""


class TrainingAlarm(UserWarning):
    """What looks wrong in a training run, and what to do, in words: a warning, as the run goes on."""


class SamplingAlarm(UserWarning):
    """Chains tell where they started, so that what they show is not the machine: a warning, with what to do."""
