"""A clock that is wrong, for one process: a small library, loaded before all others, adds to the time of day."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

SOURCE: Final = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long ahead(void) {
    const char *said = getenv("CLOCK_AHEAD_SECONDS");
    return said ? atol(said) : 0;
}

int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, now);
    if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += ahead();
    return result;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec exact;
    if (clock_gettime(CLOCK_REALTIME, &exact)) return -1;
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (at) *at = exact.tv_sec;
    return exact.tv_sec;
}
"""


def built(directory: Path) -> Path:
    """Compile the library; the test is skipped where there is nothing to compile it with."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler to give a process a clock of its own")
    library = directory / "skew.so"
    command = (compiler, "-shared", "-fPIC", "-o", library, "-x", "c", "-", "-ldl")
    subprocess.run(command, input=SOURCE, text=True, check=True)
    return library


def ahead(library: Path, seconds: int, zone: str = "UTC") -> dict[str, str]:
    """The environment of a process whose clock is so many seconds ahead, in a time zone."""
    return {"LD_PRELOAD": str(library), "CLOCK_AHEAD_SECONDS": str(seconds), "TZ": zone}
