"""The group-rational activation of GR-KAN layers, by kernels that grkan generated and tuned."""

from . import layers
from .rational import group_rational
from .tasks import TASKS

__all__ = ["TASKS", "group_rational", "layers"]
