"""Learning the parameters from data."""

from harmonium.training.checkpoint import load_checkpoint, save_checkpoint
from harmonium.training.config import Config
from harmonium.training.longer import longer
from harmonium.training.monitors import Scores
from harmonium.training.run_directory import RunDirectory
from harmonium.training.train import TrainingResult, train
from harmonium.training.trainer import EpochRecord, TrainingRun, TrainingState

__all__ = [
    "Config",
    "EpochRecord",
    "RunDirectory",
    "Scores",
    "TrainingResult",
    "TrainingRun",
    "TrainingState",
    "load_checkpoint",
    "longer",
    "save_checkpoint",
    "train",
]
