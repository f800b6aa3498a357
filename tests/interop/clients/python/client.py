"""What the clients in Python share: lines of records (../records.py says what is in one), and the
choice of the action. An action that raises Refusal is one that the library has not."""
import sys
from collections import namedtuple

Record = namedtuple("Record", "partition timestamp_ms key value headers")


class Refusal(Exception):
    """Why this library can't do what was asked for."""


def bytes_of(text):
    if text == "-":
        return None
    return b"" if text == "." else bytes.fromhex(text)


def text_of(data):
    if data is None:
        return "-"
    return bytes(data).hex() or "."


def records():
    for line in sys.stdin:
        partition, timestamp_ms, key, value, headers = line.split()
        pairs = [] if headers == "-" else [pair.split(":") for pair in headers.split(",")]
        yield Record(int(partition), int(timestamp_ms), bytes_of(key), bytes_of(value),
                     [(bytes_of(name).decode(), bytes_of(data)) for name, data in pairs])


def print_record(topic, partition, offset, timestamp_ms, key, value, headers):
    pairs = ",".join(f"{text_of(name.encode())}:{text_of(data)}" for name, data in headers or [])
    print(topic, partition, offset, timestamp_ms, text_of(key), text_of(value), pairs or "-")


def ids(nodes):
    return ",".join(str(node) for node in nodes)


def run(actions):
    """PROGRAM ADDRESS ACTION [ARGUMENT]...: exit status 3 and a reason where it can't be done."""
    address, name, *arguments = sys.argv[1:]
    if name not in actions:
        print("the library has nothing for it", file=sys.stderr)
        sys.exit(3)
    try:
        actions[name](address, *arguments)
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(3)
