# pyright: basic, reportMissingImports=false
"""The actors of casty under measurement, in a module of their own: casty names a type after its
module, and every node must find it there.

The law of this file: as casty's documentation writes an actor, with its defaults (three replicas in
memory, a write confirmed by a majority of them); `Stored` is the same type with every write kept in
the system's store as well. Imported by casty_worker in casty's own Python only.
"""

from dataclasses import dataclass
from datetime import timedelta

from casty import Askable, Context, actor

IDLE_AFTER_S = 2.0
VALUE_BYTES = 100


@dataclass(frozen=True)
class Ask(Askable[int]):
    n: int


@dataclass(frozen=True)
class Put(Askable[int]):
    n: int
    value: bytes


@dataclass(frozen=True)
class Bump(Askable[tuple[str, int]]):
    pass


@actor(initial=b"")
async def echo(ctx: Context[bytes, Ask | Put]) -> None:
    """Answers what it was asked; writes what it was given."""
    async for message in ctx.inbox:
        if isinstance(message, Put):
            await ctx.state.set(message.value)
        message.reply_to.tell(message.n)


@actor(initial=b"", durable="write")
async def stored(ctx: Context[bytes, Ask | Put]) -> None:
    """As `echo`, every write in the store."""
    async for message in ctx.inbox:
        if isinstance(message, Put):
            await ctx.state.set(message.value)
        message.reply_to.tell(message.n)


@actor(initial=0, idle_after=timedelta(seconds=IDLE_AFTER_S))
async def sleeper(ctx: Context[int, Ask]) -> None:
    """A named actor that has been started (it has a state of its own) and is not needed."""
    async for message in ctx.inbox:
        if not ctx.state.value:
            await ctx.state.set(1)
        message.reply_to.tell(message.n)


@actor(initial=0)
async def counter(ctx: Context[int, Bump]) -> None:
    """Counts in its state; says where it runs."""
    address = ctx.system.node.address
    async for message in ctx.inbox:
        await ctx.state.set(ctx.state.value + 1)
        message.reply_to.tell((address or "", ctx.state.value))
