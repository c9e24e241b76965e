"""The rules that are taken away to test the tests, each with the test that misses it: what `make mutants` runs."""

from typing import Final

from tests.mutations.breaker import BREAKER
from tests.mutations.known import KNOWN
from tests.mutations.leases import LEASES
from tests.mutations.mutant import Mutant
from tests.mutations.registers import REGISTERS
from tests.mutations.shares import SHARES

__all__ = ["MUTANTS", "Mutant"]

MUTANTS: Final = (*REGISTERS, *BREAKER, *SHARES, *LEASES, *KNOWN)
