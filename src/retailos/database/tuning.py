"""The settings that the embedded PostgreSQL runs with, for the memory of this machine."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

_MB = 1024 * 1024
_GB = 1024 * _MB

#: More than this only moves pages out of the kernel's cache, which serves them as well at this size of data.
SHARED_BUFFERS_MAX_BYTES = _GB
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")

#: Settings that nobody can change, because without them what was acknowledged can be lost. Given on the command
#: line, which outranks every file and ALTER SYSTEM.
DURABLE = MappingProxyType({"fsync": "on", "full_page_writes": "on"})


def memory_bytes() -> int:
    """The memory that this process may use: the machine's, or the container's limit if that is smaller."""
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(installed, int(_CGROUP_LIMIT.read_text()))
    except (OSError, ValueError):
        return installed


def settings(memory: int) -> dict[str, str]:
    """Server settings for this much memory in bytes, each by its PostgreSQL name; ALTER SYSTEM outranks them."""
    return {
        "max_connections": "100",
        "shared_buffers": _megabytes(min(memory // 4, SHARED_BUFFERS_MAX_BYTES)),
        "effective_cache_size": _megabytes(memory // 2),
        "work_mem": "16MB",
        "maintenance_work_mem": _megabytes(min(memory // 16, 256 * _MB)),
        # Fewer checkpoints mean fewer full page images: with the defaults they are most of the log under load.
        "max_wal_size": "4GB",
        "min_wal_size": "256MB",
        "checkpoint_timeout": "15min",
        "random_page_cost": "1.1",
        "jit": "off",
        # Containers have 64 MB of /dev/shm, which parallel hash joins overrun; short statements gain nothing by them.
        "max_parallel_workers_per_gather": "0",
        # Queue tables rot within seconds, not within the default minute.
        "autovacuum_naptime": "10s",
        "idle_in_transaction_session_timeout": "60s",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] ",
        # Refused statements quote what people sent; the program reports those itself, without the values.
        "log_min_messages": "log",
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_parameter_max_length": "0",
        "log_checkpoints": "off",
        "max_logical_replication_workers": "0",
        "cluster_name": "retailos",
    }


def render(values: Mapping[str, str], *, after: Path) -> str:
    """The text of a configuration file with these settings, which outrank those of the file `after`."""
    lines = [f"{name} = '{value}'\n" for name, value in values.items()]
    included = str(after).replace("'", "''")
    return (
        "# Written at each start; change a setting with ALTER SYSTEM, which outranks this file.\n"
        f"include '{included}'\n" + "".join(lines)
    )


def _megabytes(size: int) -> str:
    return f"{max(size // _MB, 1)}MB"
