"""The experiments that the seeds leave blank: methods and results, from data to a page, in one call."""

from harmonium.reproduce.plan import PLANS, FineTuning, Machine, Plan, Softmax
from harmonium.reproduce.run import make_folder, reproduce

__all__ = ["PLANS", "FineTuning", "Machine", "Plan", "Softmax", "make_folder", "reproduce"]
