"""What happened, said once: code emits an observation, a value of the noun that it is about."""

from retailos.observe.fault import describe
from retailos.observe.line import Observation, configure, emit, wanted

__all__ = ("Observation", "configure", "describe", "emit", "wanted")
