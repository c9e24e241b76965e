"""What happens by the clock: once for each tick over all workers, and the database's clock decides when."""

from retailos.schedule.schedule import Schedule, Tick, arm, disarm, every

__all__ = ("Schedule", "Tick", "arm", "disarm", "every")
