"""The RESP client and the load on Redis, against a server of a few lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from quorate.bench.peers import redis_load
from quorate.bench.peers.redis_load import Waited
from quorate.bench.peers.resp import Connection, Decoder, RespError, connect, encoded

ORDER = {"in_flight": 4, "keys": 8, "value_bytes": 16, "warmup_s": 0.0, "seconds": 0.05}


class FakeRedis:
    """Keeps keys, counts commands; `replicas` is what it answers to WAIT."""

    def __init__(self, replicas: int = 2) -> None:
        self.replicas = replicas
        self.data: dict[bytes, bytes] = {}
        self.commands: list[bytes] = []
        self.address = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                words: list[bytes] = []
                for _ in range(int(line[1:])):
                    size = int((await reader.readline())[1:])
                    words.append((await reader.readexactly(size + 2))[:-2])
                writer.write(self.answer(words))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def answer(self, words: list[bytes]) -> bytes:
        self.commands.append(words[0])
        match words:
            case [b"SET", key, value]:
                self.data[key] = value
                return b"+OK\r\n"
            case [b"GET", key]:
                found = self.data.get(key)
                return b"$-1\r\n" if found is None else b"$%d\r\n%s\r\n" % (len(found), found)
            case [b"WAIT", _, _]:
                return b":%d\r\n" % self.replicas
            case [b"INFO", _]:
                text = b"# Replication\r\nslave0:ip=127.0.0.1,state=online\r\n"
                return b"$%d\r\n%s\r\n" % (len(text), text)
            case [b"NONSENSE"]:
                return b"what?\r\n"
            case _:
                return b"-ERR unknown command\r\n"


@asynccontextmanager
async def serving(fake: FakeRedis) -> AsyncGenerator[FakeRedis]:
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    fake.address = f"{host}:{port}"
    async with server:
        yield fake


@asynccontextmanager
async def connected(fake: FakeRedis) -> AsyncGenerator[Connection]:
    async with serving(fake):
        connection = await connect(fake.address)
        try:
            yield connection
        finally:
            connection.close()


def test_a_command_is_an_array_of_bulk_strings() -> None:
    assert encoded(b"SET", b"k", b"\r\n") == b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n\r\n\r\n"


def test_answers_come_whole_however_the_bytes_are_cut() -> None:
    wire = b"+OK\r\n:-3\r\n$5\r\na\r\nbc\r\n$-1\r\n$0\r\n\r\n-ERR no\r\n"
    for step in range(1, len(wire)):
        decoder = Decoder()
        found = [
            answer
            for start in range(0, len(wire), step)
            for answer in decoder.feed(wire[start : start + step])
        ]
        assert found[:5] == ["OK", -3, b"a\r\nbc", None, b""]
        assert isinstance(found[5], RespError)
        assert len(found) == 6


@pytest.mark.parametrize("wire", [b"HTTP/1.1 400\r\n", b"$x\r\n", b":one\r\n", b"\r\n"])
def test_bytes_that_are_no_answer_are_refused(wire: bytes) -> None:
    with pytest.raises(RespError):
        Decoder().feed(wire)


def test_answers_find_their_commands_and_a_refusal_breaks_nothing_else() -> None:
    async def story() -> None:
        async with connected(FakeRedis()) as connection:
            written = connection.send(b"SET", b"k", b"v")
            refused = connection.send(b"FLUSH")
            read, absent = connection.send(b"GET", b"k"), connection.send(b"GET", b"x")
            assert await written == "OK"
            with pytest.raises(RespError, match="unknown command"):
                await refused
            assert (await read, await absent) == (b"v", None)

    asyncio.run(story())


def test_a_broken_connection_ends_everything_that_waits_and_comes_after() -> None:
    async def story() -> None:
        async with connected(FakeRedis()) as connection:
            waiting = [connection.send(b"NONSENSE"), connection.send(b"GET", b"k")]
            found = await asyncio.gather(*waiting, return_exceptions=True)
            assert [type(error) for error in found] == [ConnectionError, ConnectionError]
            with pytest.raises(ConnectionError, match="not an answer"):
                await connection.send(b"GET", b"k")

    asyncio.run(story())


def test_writes_that_come_while_one_waits_share_the_next_wait() -> None:
    async def story() -> None:
        fake = FakeRedis(replicas=1)
        async with connected(fake) as connection:
            waited = Waited(connection, 1)
            await asyncio.gather(*(waited.put(b"k%d" % n, b"v") for n in range(50)))
            await waited.put(b"last", b"v")
        assert len(fake.data) == 51
        assert fake.commands.count(b"WAIT") == 2
        assert fake.commands[-1] == b"WAIT"

    asyncio.run(story())


def test_a_write_that_no_replica_has_is_an_error_and_not_a_fast_success() -> None:
    async def story() -> None:
        async with connected(FakeRedis(replicas=0)) as connection:
            with pytest.raises(RespError, match="0 of 1 replicas"):
                await Waited(connection, 1).put(b"k", b"v")

    asyncio.run(story())


@pytest.mark.parametrize("replicas", [0, 1])
def test_a_load_reads_what_it_wrote_waited_for_or_not(replicas: int) -> None:
    async def story() -> None:
        fake = FakeRedis()
        async with connected(fake) as connection:
            order = {**ORDER, "op": "put", "replicas": replicas}
            put = redis_load.operation(order, [connection])
            await asyncio.gather(*map(put, range(32)))
            assert len(fake.data) == 8
            assert (b"WAIT" in fake.commands) is bool(replicas)
            get = redis_load.operation({**ORDER, "op": "get"}, [connection])
            assert set(await asyncio.gather(*map(get, range(8)))) == set(fake.data.values())

    asyncio.run(story())


def test_reading_nothing_is_an_error_and_the_servers_words_come_as_a_table() -> None:
    async def story() -> None:
        async with serving(FakeRedis()) as fake:
            done = await redis_load.load({**ORDER, "op": "get", "address": fake.address})
            assert (done["ops"], done["error"]) == (0, "LookupError: no such key")
            said = await redis_load.info({"address": fake.address, "section": "replication"})
            assert said == {"slave0": "ip=127.0.0.1,state=online"}

    asyncio.run(story())
