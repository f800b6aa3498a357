"""The records that every client sends, and the lines in which they are written down.

A line is a record, its fields parted by one space:
    PARTITION TIMESTAMP_MS KEY VALUE HEADERS                    what is to be sent
    TOPIC PARTITION OFFSET TIMESTAMP_MS KEY VALUE HEADERS       what was read
Bytes are hexadecimal; `-` is null, `.` is there and empty. HEADERS is NAME:VALUE,NAME:VALUE... or
`-` where there is none.

    records.py sent          prints the records to send
    records.py read TOPIC    prints, from those to send in stdin, what a fresh topic then holds
    records.py apis ADDRESS  prints the keys of the APIs that a broker advertises, one a line"""
import random
import socket
import struct
import sys
import time

PARTITIONS = 4
SMALL_COUNT = 500


def text_of(data):
    if data is None:
        return "-"
    return data.hex() or "."


def line(partition, timestamp_ms, key, value, headers):
    pairs = ",".join(f"{text_of(name.encode())}:{text_of(data)}" for name, data in headers) or "-"
    return f"{partition} {timestamp_ms} {text_of(key)} {text_of(value)} {pairs}"


def odd_records():
    """What is easily got wrong: nothing, emptiness, bytes that are no text, sizes."""
    every_byte = bytes(range(256))
    name = "Überschrift"
    yield b"key", b"value", []
    yield None, b"no key", []
    yield b"no value", None, []
    yield b"no value", None, [("with", b"a header")]
    yield b"", b"an empty key", []
    yield b"an empty value", b"", []
    yield every_byte, every_byte[::-1], [("bytes", every_byte)]
    yield b"k", b"v", [("twice", b"1"), ("twice", b"2"), ("empty", b""), (name, name.encode())]
    yield b"many headers", b"v", [(f"name-{i}", b"%d" % i) for i in range(100)]
    yield b"large, compressible", b"0123456789abcdef" * 20000, []
    yield b"large, not compressible", random.Random(7).randbytes(200000), []


def sent():
    """All alike each time but for the timestamps: retention deletes what is old."""
    rng = random.Random(4)
    base_ms = int(time.time() * 1000)
    records = list(odd_records())
    for i in range(SMALL_COUNT):
        records.append((b"key-%d" % i, b"value %d " % i * rng.randrange(1, 20), []))
    for i, (key, value, headers) in enumerate(records):
        print(line(i % PARTITIONS, base_ms + i, key, value, headers))


def read(topic):
    """By partition, then by offset; sent in the order of the lines."""
    partitions = {}
    for record in sys.stdin:
        partition, rest = record.rstrip("\n").split(" ", 1)
        partitions.setdefault(int(partition), []).append(rest)
    for partition in sorted(partitions):
        for offset, rest in enumerate(partitions[partition]):
            print(topic, partition, offset, rest)


def apis(address):
    """A request of ApiVersions, version 0: every broker knows it."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(struct.pack(">ihhih", 10, 18, 0, 1, -1))
        with connection.makefile("rb") as stream:
            size, = struct.unpack(">i", stream.read(4))
            body = stream.read(size)
    _, error, count = struct.unpack_from(">ihi", body)
    if error:
        sys.exit(f"records.py: ApiVersions: error {error}")
    for i in range(count):
        print(struct.unpack_from(">h", body, 10 + 6 * i)[0])


def main():
    actions = {"sent": sent, "read": read, "apis": apis}
    actions[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
