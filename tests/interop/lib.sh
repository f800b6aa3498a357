# Sourced by the scripts of this folder: a counted expectation, a free port, a broker of one's own.
# Nothing waits by sleeping: a broker is ready when it says so, and every wait has a limit.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
limit_s=60
passed=0
failed=0
broker_pid=
scratch=$(mktemp -d)

clean_up() {
    [ -z "$broker_pid" ] || kill -9 "$broker_pid" 2>/dev/null
    rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

# expect TEXT COMMAND...: one test; it passed if the command succeeds. Prints only failures.
expect() {
    local text=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        echo "${0##*/}:${BASH_LINENO[0]}: failed: $text"
        failed=$((failed + 1))
        return 1
    fi
}

# Ends the script with the sum.
finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
    exit
}

# Prints a port below 32768 (where the kernel does not pick its own) that nobody listens on.
free_port() {
    local port
    while :; do
        port=$((20000 + (RANDOM + BASHPID) % 12000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}

# broker_start BOLE DATA PORT [ARGUMENT]...: starts a broker and returns once it has printed its
# `ready` line; sets broker_pid. Fails if it ends, or says nothing for limit_s. $BOLE_PORT says
# which port of the reactor it uses: uring, epoll, or auto where it is not set.
broker_start() {
    local bole=$1 data=$2 port=$3 line=
    shift 3
    rm -f "$scratch/ready"
    mkfifo "$scratch/ready"
    "$bole" broker --data "$data" --listen "127.0.0.1:$port" \
        -X "reactor.port=${BOLE_PORT:-auto}" "$@" \
        >"$scratch/ready" 2>>"$scratch/broker.log" </dev/null &
    broker_pid=$!
    exec {broker_output}<"$scratch/ready"
    while IFS= read -r -t $limit_s -u "$broker_output" line; do
        case $line in
        "ready 127.0.0.1:$port "*) return 0 ;;
        esac
    done
    echo "the broker did not get ready; its last lines:"
    tail -n 20 "$scratch/broker.log"
    kill -9 "$broker_pid" 2>/dev/null
    broker_pid=
    return 1
}

# broker_stop SIGNAL: sends it and returns the broker's exit status; after limit_s, kills.
broker_stop() {
    local pid=$broker_pid status=0
    kill "-$1" "$pid"
    # The broker's end closes its output; a read that runs into its limit gives more than 128.
    while [ $status -eq 0 ]; do
        read -r -t $limit_s -u "$broker_output" _
        status=$?
    done
    [ $status -le 128 ] || kill -9 "$pid"
    wait "$pid" 2>/dev/null
    status=$?
    broker_pid=
    exec {broker_output}<&-
    return $status
}

# died_of SIGNAL_NUMBER STATUS
died_of() {
    [ "$2" -eq $((128 + $1)) ]
}

# same_bytes FILE FILE: their SHA-256 are equal, and the files are not empty.
same_bytes() {
    [ -s "$1" ] && [ "$(sha256sum <"$1")" = "$(sha256sum <"$2")" ]
}

# limited COMMAND...: fails after limit_s.
limited() {
    timeout $limit_s "$@"
}
