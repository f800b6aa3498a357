"""What the scripts of this folder share: a broker on a fresh directory, and the generator."""
import atexit
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))


class Failure(Exception):
    """Something could not be measured; the text says what."""


def pinned(cpu, command):
    """`command` on CPU `cpu`; where there is only one, as it is."""
    return ["taskset", "-c", str(cpu)] + command if os.cpu_count() > 1 else command


def put_aside(directory):
    """Frees the blocks of what lies in `directory`; the files are removed when the program ends.
    For minutes after files were deleted ext4 searches long for an inode that was not one of theirs,
    and that would count against the next broker that makes thousands of files."""
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.getsize(path) > 1 << 16:
                os.truncate(path, 0)
    atexit.register(shutil.rmtree, directory, ignore_errors=True)


class Broker:
    """A Bole broker on an empty directory; `with` starts it and takes everything away again."""

    def __init__(self, bole, port, cores=1, cpu="0", prefix=(), settings=(), environment=None,
                 stop_s=30):
        self.address = f"127.0.0.1:{port}"
        self.bole = bole
        self.stop_s = stop_s
        self.options = ["--listen", self.address, "--cores", str(cores)]
        for setting in settings:
            self.options += ["-X", setting]
        self.prefix, self.cpu = list(prefix), cpu
        self.environment = dict(os.environ, **(environment or {}))

    def command(self):
        """As a person would type it."""
        return " ".join(pinned(self.cpu, ["bole", "broker"] + self.options))

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="bole-bench-", dir=DIRECTORY)
        self.data = os.path.join(self.directory, "data")
        os.mkdir(self.data)
        self.start()
        return self

    def start(self):
        """Starts it on what lies in its directory, and waits until it is ready."""
        command = self.prefix + [self.bole, "broker", "--data", self.data] + self.options
        start = time.monotonic()
        self.process = subprocess.Popen(pinned(self.cpu, command), stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True, env=self.environment)
        line = self.process.stdout.readline()
        self.ready_ms = (time.monotonic() - start) * 1000
        if not line.startswith("ready "):
            self.__exit__()
            raise Failure(f"the broker did not get ready: {' '.join(command)}")
        self.said_ms = float(line.split()[3])
        self.pid = self.process.pid

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(self.stop_s)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process.stdout.close()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def restart(self):
        self.stop()
        self.start()

    def __exit__(self, *_):
        self.stop()
        put_aside(self.directory)

    def rss_mib(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("VmRSS"):
                    return int(line.split()[1]) / 1024
        raise Failure("the broker's memory can't be read")

    def thread_cpu_ticks(self):
        """CPU time of each of its threads, oldest first, in ticks."""
        ticks = []
        for task in sorted(os.listdir(f"/proc/{self.pid}/task"), key=int):
            with open(f"/proc/{self.pid}/task/{task}/stat", encoding="ascii") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            ticks.append(int(fields[11]) + int(fields[12]))
        return ticks


DIRECTORY = None  # where the brokers write: the scripts set it; None: the system's own


def bench(bole, address, arguments, pid=None, cpu="1"):
    """`bole bench ARGUMENTS --json`, pinned: its figures."""
    command = [bole, "bench"] + arguments + ["-b", address, "--json"]
    if pid:
        command += ["--pid", str(pid)]
    done = subprocess.run(pinned(cpu, command), capture_output=True, text=True, timeout=1200)
    if done.returncode:
        raise Failure(f"bole bench {' '.join(arguments)}: {done.stderr.strip()}")
    figures = json.loads(done.stdout)
    if figures["errors"]:
        raise Failure(f"bole bench {' '.join(arguments)}: {figures['errors']}")
    return figures


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2
