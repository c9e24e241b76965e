"""A model of the register, small enough that every state of it can be visited: one delivery, two workers, a network.

What is modelled is what decides which version a receiver ends on: writes, claims, reads, requests that arrive late or
never, answers, settlements, workers that die or stand still, rescues, and the confirming resend. Time is not counted:
that the longest life of a request has passed means that none is under way any more.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

WRITES: Final = 3
WORKERS: Final = (0, 1)
#: A claim whose worker is gone; it is nobody's until it is rescued.
DEAD: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the register and the receiver hold to; each is a rule of the design, and can be taken away."""

    #: What a write owes is written with it, not after it.
    captured_with_the_write: bool = True
    #: A delivery is done when the version that was acknowledged is the one that is wanted, not when a request succeeds.
    compares_versions: bool = True
    #: Only the holder of the claim settles.
    fenced: bool = True
    #: Nobody claims what is in flight.
    one_at_a_time: bool = True
    #: A worker whose lease is over does not send what it had claimed under it.
    looks_at_the_lease: bool = True
    #: What a worker that is gone had claimed is owed again.
    rescues: bool = True
    #: What was in flight when its worker was given up is in doubt.
    doubts_the_rescued: bool = True
    #: What timed out is in doubt.
    doubts_timeouts: bool = True
    #: What was in doubt is sent once more after it was acknowledged …
    confirms: bool = True
    #: … and not before the longest life of a request has passed.
    confirms_late: bool = True
    #: The receiver ignores versions that are lower than the one it has.
    strict_receiver: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How often each thing can go wrong in one run; what is not asked for does not happen."""

    crashes: int = 1
    #: A worker stands still until its lease is over, and goes on.
    lapses: int = 1
    timeouts: int = 1
    losses: int = 1


class Doing(NamedTuple):
    """What a worker is at: `idle`, `claimed`, `read`, `sent`, `answered` or `given up`, with which version."""

    step: str = "idle"
    version: int = 0


class Message(NamedTuple):
    """A request in the network; its owner still waits for the answer, or nobody does."""

    version: int
    owner: int


class State(NamedTuple):
    """Everything there is, at one moment."""

    #: The version that the database has, and the ones that the register wants and has acknowledged.
    written: int = 0
    wanted: int = 0
    acknowledged: int = 0
    #: `settled`, `owed`, `sending`, or `confirming`: acknowledged, and to be sent once more when it is time.
    status: str = "settled"
    #: Whose claim holds, DEAD for a worker's that is gone; None if nobody's.
    holder: int | None = None
    in_doubt: bool = False
    workers: tuple[Doing, ...] = (Doing(), Doing())
    network: tuple[Message, ...] = ()
    #: The receiver's copy.
    copy: int = 0
    #: What is left of crashes, lapses, timeouts and losses.
    left: tuple[int, int, int, int] = (0, 0, 0, 0)


#: What happens, whether it must happen some time, and what is then.
Step = tuple[str, bool, State]


@dataclass(frozen=True, slots=True)
class Found:
    """What was found: how many states there are, and the shortest way to one that is wrong, if there is any."""

    states: int
    wrong: str = ""
    way: tuple[str, ...] = ()

    def report(self) -> str:
        """Say it, a step on a line."""
        if not self.wrong:
            return f"converges, in each of {self.states:,} states"
        return "\n  ".join([f"{self.wrong}, after:", *(f"{n}. {step}" for n, step in enumerate(self.way, 1))])


def explore(rules: Rules, faults: Faults) -> Found:
    """Visit every state that can be reached, the nearest first, until one is wrong."""
    first = State(left=(faults.crashes, faults.lapses, faults.timeouts, faults.losses))
    came: dict[State, tuple[State, str] | None] = {first: None}
    waiting = deque([first])
    while waiting:
        state = waiting.popleft()
        steps = list(follow(state, rules))
        wrong = judge(state, quiet=not any(must for _, must, _ in steps))
        if wrong:
            return Found(len(came), wrong, tuple(_way(came, state)))
        for said, _, then in steps:
            if then not in came:
                came[then] = (state, said)
                waiting.append(then)
    return Found(len(came))


def judge(state: State, *, quiet: bool) -> str:
    """Say what is wrong with a state, if anything; it is `quiet` if nothing is bound to happen any more."""
    if state.status == "settled" and state.wanted == state.written != state.copy:
        return f"stale: settled, with v{state.copy} at the receiver and v{state.written} in the database"
    if quiet and (state.copy, state.status) != (state.written, "settled"):
        return f"stale for good: {state.status}, v{state.copy} at the receiver and v{state.written} in the database"
    return ""


def follow(state: State, rules: Rules) -> Iterator[Step]:
    """Give all that can happen next."""
    yield from _writing(state, rules)
    yield from _rescuing(state, rules)
    yield from _arriving(state, rules)
    for worker in WORKERS:
        yield from _working(state, rules, worker)
        yield from _failing(state, worker)


def _writing(state: State, rules: Rules) -> Iterator[Step]:
    if state.written < WRITES:
        then = state._replace(written=state.written + 1)
        yield f"v{then.written} is written", False, _owed(then) if rules.captured_with_the_write else then
    if state.wanted < state.written:
        yield f"v{state.written} is captured", False, _owed(state)


def _owed(state: State) -> State:
    """What it is after a change is captured: owed at once, unless it is in flight."""
    status = "sending" if state.status == "sending" else "owed"
    return state._replace(wanted=state.written, status=status)


def _rescuing(state: State, rules: Rules) -> Iterator[Step]:
    crashes, lapses, timeouts, losses = state.left
    if not rules.rescues or state.holder is None:
        return
    then = state._replace(status="owed", holder=None, in_doubt=state.in_doubt or rules.doubts_the_rescued)
    if state.holder == DEAD:
        yield "what the dead worker had claimed is rescued", True, then
    elif lapses:
        said = f"worker {state.holder} stands still; its lease is over and its claim is rescued"
        yield said, False, then._replace(left=(crashes, lapses - 1, timeouts, losses))


def _arriving(state: State, rules: Rules) -> Iterator[Step]:
    for message in dict.fromkeys(state.network):
        copy = max(state.copy, message.version) if rules.strict_receiver else message.version
        then = _without(state, message)._replace(copy=copy)
        if message.owner in WORKERS:
            then = _doing(then, message.owner, Doing("answered", message.version))
        yield f"v{message.version} arrives, and is applied", True, then


def _working(state: State, rules: Rules, worker: int) -> Iterator[Step]:
    step, version = state.workers[worker]
    if step == "idle":
        yield from _claiming(state, rules, worker)
    elif step == "claimed":
        yield f"worker {worker} reads v{state.written}", True, _doing(state, worker, Doing("read", state.written))
    elif step == "read":
        if rules.looks_at_the_lease and state.holder != worker:
            yield f"worker {worker} sees that its lease is over", True, _doing(state, worker, Doing())
        else:
            then = state._replace(network=tuple(sorted((*state.network, Message(version, worker)))))
            yield f"worker {worker} sends v{version}", True, _doing(then, worker, Doing("sent", version))
    elif step in ("answered", "given up"):
        yield f"worker {worker} settles v{version}: {step}", True, _settled(state, rules, worker)


def _claiming(state: State, rules: Rules, worker: int) -> Iterator[Step]:
    confirming = state.status == "confirming"
    # A doubt is over when no request is under way any more; what is claimed from then on comes after all of them.
    over = not state.network if rules.confirms_late else confirming
    due = state.status == "owed" or (confirming and over)
    doubly = not rules.one_at_a_time and state.status == "sending" and state.acknowledged < state.wanted
    if due or doubly:
        then = state._replace(status="sending", holder=worker, in_doubt=state.in_doubt and not over)
        said = f"worker {worker} claims it{' to confirm it' if confirming else ''}"
        yield said, True, _doing(then, worker, Doing("claimed"))


def _settled(state: State, rules: Rules, worker: int) -> State:
    """What it is after a worker has settled what it sent."""
    step, version = state.workers[worker]
    then = _doing(state, worker, Doing())
    if rules.fenced and state.holder != worker:
        return then
    if step == "given up":
        return then._replace(status="owed", holder=None, in_doubt=state.in_doubt or rules.doubts_timeouts)
    then = then._replace(acknowledged=version, holder=None)
    if rules.compares_versions and version < state.wanted:
        return then._replace(status="owed")
    return then._replace(status="confirming" if then.in_doubt and rules.confirms else "settled")


def _failing(state: State, worker: int) -> Iterator[Step]:
    crashes, lapses, timeouts, losses = state.left
    step, version = state.workers[worker]
    mine = Message(version, worker)
    if step != "idle" and crashes:
        then = state._replace(holder=DEAD) if state.holder == worker else state
        yield f"worker {worker} dies", False, _lost(then, worker, Doing(), (crashes - 1, lapses, timeouts, losses))
    if step != "sent":
        return
    if mine not in state.network:
        yield f"worker {worker} gives up on v{version}", True, _doing(state, worker, Doing("given up", version))
        return
    if timeouts:
        then = _lost(state, worker, Doing("given up", version), (crashes, lapses, timeouts - 1, losses))
        yield f"worker {worker} gives up on v{version}, which is still under way", False, then
    if losses:
        then = _without(state, mine)._replace(left=(crashes, lapses, timeouts, losses - 1))
        yield f"v{version} is lost on its way", False, then


def _lost(state: State, worker: int, then: Doing, left: tuple[int, int, int, int]) -> State:
    """What it is when a worker waits no longer for what it sent."""
    network = tuple(sorted(Message(each.version, DEAD) if each.owner == worker else each for each in state.network))
    return _doing(state._replace(network=network, left=left), worker, then)


def _doing(state: State, worker: int, doing: Doing) -> State:
    return state._replace(workers=(*state.workers[:worker], doing, *state.workers[worker + 1 :]))


def _without(state: State, message: Message) -> State:
    at = state.network.index(message)
    return state._replace(network=state.network[:at] + state.network[at + 1 :])


def _way(came: Mapping[State, tuple[State, str] | None], state: State) -> Iterator[str]:
    """The steps from the beginning to a state."""
    before = came[state]
    if before is not None:
        yield from _way(came, before[0])
        yield before[1]
