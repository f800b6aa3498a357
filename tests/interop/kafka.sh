# Sourced by tools/interop: a Kafka broker of one's own, and what it and Bole make of each other's
# directories. Rows are written by try, verdict and row there; `call` runs Java's client.
#
# The Kafka broker is a single node, broker and controller, from the jars that prepare_java found.
# It is always started on a copy, with the node and cluster id of the copy's meta.properties.

kafka_pid=
kafka_log=$scratch/kafka.log
kafka_logging=$scratch/log4j2.xml
kafka_java=(java -Xmx512m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
    "-Dlog4j2.configurationFile=$kafka_logging")

# kafka_configure DIR: the settings of a broker on DIR, into $scratch/kafka.properties; its
# controller listens on the port after that of `address`.
kafka_configure() {
    local port
    while port=$(free_port) && (exec 3<>"/dev/tcp/127.0.0.1/$((port + 1))") 2>/dev/null; do :; done
    address=127.0.0.1:$port
    cat >"$kafka_logging" <<END
<Configuration status="OFF"><Appenders><Console name="c" target="SYSTEM_ERR">
<PatternLayout pattern="%p %c{1} %m%n"/></Console></Appenders>
<Loggers><Root level="WARN"><AppenderRef ref="c"/></Root></Loggers></Configuration>
END
    cat >"$scratch/kafka.properties" <<END
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers=127.0.0.1:$((port + 1))
log.dirs=$1
log.segment.bytes=1048576
log.cleaner.backoff.ms=100
log.flush.offset.checkpoint.interval.ms=100
log.flush.start.offset.checkpoint.interval.ms=100
offsets.topic.replication.factor=1
offsets.topic.num.partitions=2
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
END
}

kafka_format() {
    local id
    "${kafka_java[@]}" kafka.tools.StorageTool random-uuid >"$said" 2>&1 &&
        id=$(tail -n 1 "$said") &&
        "${kafka_java[@]}" kafka.tools.StorageTool format --standalone -t "$id" \
            -c "$scratch/kafka.properties" >"$said" 2>&1
}

# Starts it and returns once it answers; sets kafka_pid. Fails if it ends, or says nothing for
# limit_s: then its last lines are the reason.
kafka_start() {
    local until=$((SECONDS + limit_s))
    "${kafka_java[@]}" kafka.Kafka "$scratch/kafka.properties" >"$kafka_log" 2>&1 </dev/null &
    kafka_pid=$!
    until python3 "$clients/records.py" apis "$address" >"$scratch/kafka.apis" 2>/dev/null; do
        if [ $SECONDS -ge $until ] || ! kill -0 $kafka_pid 2>/dev/null; then
            echo "the Kafka broker ended, or did not answer within $limit_s s" >"$said"
            grep -v '^\sat ' "$kafka_log" | tail -n 8 >>"$said"
            kafka_stop KILL
            return 1
        fi
        read -r -t 0.2 <> <(:)
    done
    return 0
}

# kafka_stop [SIGNAL]: in order; a single node that does not end in time is killed.
kafka_stop() {
    local until=$((SECONDS + limit_s))
    [ -n "$kafka_pid" ] || return 0
    kill "-${1:-TERM}" $kafka_pid 2>/dev/null
    while kill -0 $kafka_pid 2>/dev/null && [ $SECONDS -lt $until ]; do
        read -r -t 0.2 <> <(:)
    done
    kill -9 $kafka_pid 2>/dev/null
    wait $kafka_pid 2>/dev/null
    kafka_pid=
}

# What it complained of, but for two lines that every start and end have. Fails if there is any.
kafka_is_content() {
    grep -E '^(WARN|ERROR|FATAL) ' "$kafka_log" |
        grep -v -e 'Performing controller activation' -e 'close NetworkClient that has already' \
            >"$said"
    [ ! -s "$said" ]
}

# --- records -------------------------------------------------------------------------------------
# many COUNT SEED: lines of records for one partition, some 250 bytes each.
many() {
    awk -v count="$1" -v seed="$2" -v now="$(date +%s)000" 'BEGIN {
        srand(seed)
        for (i = 0; i < count; i++) {
            value = sprintf("%08x", i)
            for (j = 0; j < 30; j++) value = value sprintf("%08x", int(rand() * 4294967295))
            printf "0 %.0f %08x %s -\n", now + i, int(rand() * 1000), value
        }
    }'
}

# read_into FILE TOPIC...: all that a reader of committed records gets, in an order of its own.
read_into() {
    local file=$1
    shift
    call committed "$@" >"$file.unsorted" && LC_ALL=C sort "$file.unsorted" >"$file" &&
        [ -s "$file" ]
}

same_records() {
    cmp -s "$1" "$2" && return
    echo "$(wc -l <"$2") records of $(wc -l <"$1"); the first that differs:" >"$said"
    diff "$1" "$2" | grep '^[<>]' | head -n 2 | cut -c 1-200 >>"$said"
    return 1
}

# holds TOPIC COUNT: from the earliest offset to the end of its partitions lie so many.
holds() {
    call offsets "$1" >"$got" &&
        [ "$(awk '{n += $3 - $2} END {print n}' "$got")" -eq "$2" ]
}

# On another port than before, which the last one may still hold; a row that failed has left it.
bole_start() {
    [ -z "$broker_pid" ] || broker_stop KILL
    address=127.0.0.1:$(free_port)
    bole_start_again "$1"
}

bole_start_again() {
    broker_start "$bole" "$1" "${address##*:}" -X "reactor.port=$port" \
        -X log.segment.bytes=1048576 -X log.cleaner.backoff.ms=200 >"$said"
}

bole_stop() {
    broker_stop TERM || { echo "the broker ended with $?" >"$said"; return 1; }
}

# Whatever the broker: `keyed`, which is compacted, and `trimmed`, whose first records are deleted,
# up to the middle of a batch; both in several segments.
make_keyed_and_trimmed() {
    call create keyed 1 && "$bole" topic alter -b "$address" keyed -c cleanup.policy=compact \
        -c min.cleanable.dirty.ratio=0.1 -c retention.ms=999999 >"$got" 2>"$said" &&
        many 12000 2 | call idempotent keyed lz4 && call create trimmed 1 &&
        many 12000 3 | call idempotent trimmed none && call trim trimmed 5001 &&
        trimmed_is_trimmed
}

trimmed_is_trimmed() {
    call offsets trimmed >"$got" || return
    grep -qx "0 5001 12000" "$got" || { echo "its offsets are $(<"$got")" >"$said"; return 1; }
}

# is_compacted FILE: of the 12000 records of `keyed`, with 1000 keys, not many are left.
is_compacted() {
    local left
    call committed keyed >"$1" && left=$(wc -l <"$1") && echo "$left records" >"$said" &&
        [ "$left" -ge 1000 ] && [ "$left" -lt 8000 ]
}

await_compaction() {
    local until=$((SECONDS + limit_s))
    until is_compacted "$got"; do
        [ $SECONDS -lt $until ] || return
    done
}

# --- a directory of Bole's -----------------------------------------------------------------------
# Every codec, an idempotent producer, rolled segments, a compacted topic, one with deleted records;
# a kill -9 lies between.
check_ours_made() {
    local codec
    ours=(numbers keyed trimmed)
    bole_start "$scratch/ours" || return
    for codec in $codecs; do
        call create "ours-$codec" $partitions && call produce "ours-$codec" "$codec" \
            <"$scratch/sent" && ours+=("ours-$codec") || return
    done
    call create numbers 1 && many 12000 1 | call idempotent numbers none || return
    make_keyed_and_trimmed || return
    broker_stop KILL
    bole_start "$scratch/ours" && many 2000 3 | call idempotent numbers zstd &&
        await_compaction || return
    # Compaction may still be under way: what is read is what lies there after the stop.
    bole_stop && bole_start "$scratch/ours" && read_into "$scratch/ours.read" "${ours[@]}" &&
        trimmed_is_trimmed && bole_stop
}

# check_dump_tool DIR SUFFIX...: of Bole's, stopped in order; files of each suffix are there.
check_dump_tool() {
    local files metadata dir=$1 suffix
    shift
    files=$(find "$dir" -path "$dir/__cluster_metadata-0" -prune -o \( -name '*.log' -o \
        -name '*.index' -o -name '*.timeindex' -o -name '*.txnindex' -o -name '*.snapshot' \) \
        -print | paste -sd ,)
    for suffix in "$@"; do
        [[ $files == *$suffix* ]] || { echo "no file is called *$suffix" >"$said"; return 1; }
    done
    metadata=$(find "$dir/__cluster_metadata-0" -name '*.log' -o -name '*.checkpoint' | paste -sd ,)
    "${kafka_java[@]}" org.apache.kafka.tools.DumpLogSegments --deep-iteration --files "$files" \
        >"$got" 2>"$said" &&
        "${kafka_java[@]}" org.apache.kafka.tools.DumpLogSegments --cluster-metadata-decoder \
            --files "$metadata" >>"$got" 2>>"$said" || return
    # What it has found wrong it says, and ends with 0.
    grep -E 'isvalid: false|[Mm]ismatch|out of order|[Nn]on-consecutive|Found|Exception' "$got" \
        >"$said" && return 1
    [ "$(grep -c 'isvalid: true' "$got")" -gt 20 ] && grep -q KRaftVoters "$got"
}

check_kafka_reads_ours() {
    cp -a "$scratch/ours" "$scratch/ours.kafka" || return
    kafka_configure "$scratch/ours.kafka"
    kafka_start && read_into "$scratch/ours.kafka.read" "${ours[@]}" &&
        same_records "$scratch/ours.read" "$scratch/ours.kafka.read" &&
        trimmed_is_trimmed
}

check_kafka_writes_ours() {
    many 1000 4 | call idempotent numbers none && holds numbers 15000 &&
        read_into "$scratch/ours.kafka.read" "${ours[@]}"
}

check_bole_after_kafka() {
    bole_start "$scratch/ours.kafka" && read_into "$scratch/ours.back" "${ours[@]}" &&
        same_records "$scratch/ours.kafka.read" "$scratch/ours.back" &&
        trimmed_is_trimmed &&
        many 1000 5 | call idempotent numbers none && holds numbers 16000 && bole_stop
}

# --- a directory of Kafka's ----------------------------------------------------------------------
check_theirs_made() {
    local codec
    theirs=(txn keyed trimmed)
    mkdir "$scratch/theirs" && kafka_configure "$scratch/theirs" && kafka_format && kafka_start ||
        return
    for codec in $codecs; do
        call create "theirs-$codec" $partitions && call produce "theirs-$codec" "$codec" \
            <"$scratch/sent" && theirs+=("theirs-$codec") || return
    done
    call create txn 2 && call transactions txn 20 && make_keyed_and_trimmed &&
        await_compaction && call create gone 2 && call group readers theirs-none >"$got" &&
        call delete gone && read_into "$scratch/theirs.read" "${theirs[@]}" &&
        call offsets txn >"$scratch/txn.offsets"
}

# Of a broker that was killed, with torn ends: there is no journal, so Bole looks for the ends.
check_bole_reads_killed() {
    local log
    kafka_stop KILL
    log=keyed-0/$(ls "$scratch/theirs/keyed-0" | grep 'log$' | tail -n 1)
    cp -a "$scratch/theirs" "$scratch/killed" &&
        head -c 100 /dev/zero >>"$scratch/killed/$log" &&
        head -c 99 /dev/zero >>"$scratch/killed/__cluster_metadata-0/00000000000000000000.log" &&
        check_bole_reads_theirs "$scratch/killed" && bole_stop &&
        [ -e "$scratch/killed.bole/.kafka_cleanshutdown" ] &&
        grep "bole/$log, position .* 100 bytes are cut" "$scratch/broker.log" >"$said" &&
        grep "metadata-0/.*, position .* 99 bytes are cut" "$scratch/broker.log" >>"$said"
}

check_kafka_stops() {
    kafka_configure "$scratch/theirs"
    kafka_start && kafka_stop && [ -e "$scratch/theirs/.kafka_cleanshutdown" ]
}

check_bole_reads_theirs() {
    cp -a "$1" "$1.bole" && bole_start "$1.bole" &&
        read_into "$1.bole.read" "${theirs[@]}" &&
        same_records "$scratch/theirs.read" "$1.bole.read" &&
        call offsets txn | cmp -s - "$scratch/txn.offsets" && ! grep -q aborted "$1.bole.read" &&
        trimmed_is_trimmed
}

check_their_settings() {
    call configs topic keyed >"$got" && grep -qx cleanup.policy=compact "$got" &&
        grep -qx retention.ms=999999 "$got" && call list >"$got" && ! grep -qx gone "$got"
}

check_bole_writes_theirs() {
    many 1000 7 | call idempotent theirs-zstd none && bole_stop &&
        bole_start "$scratch/theirs.bole" &&
        holds theirs-zstd $((record_count + 1000)) &&
        read_into "$scratch/theirs.bole.read" "${theirs[@]}" && bole_stop
}

check_kafka_goes_on() {
    kafka_configure "$scratch/theirs.bole"
    kafka_start && read_into "$scratch/theirs.back" "${theirs[@]}" &&
        same_records "$scratch/theirs.bole.read" "$scratch/theirs.back" &&
        many 1000 8 | call idempotent theirs-zstd none &&
        holds theirs-zstd $((record_count + 2000))
}

check_content() {
    kafka_stop
    kafka_is_content
}

# --- what only Kafka acts on ---------------------------------------------------------------------
# Credentials, quotas, ACLs and settings of brokers: nothing in Bole acts on them, and its snapshots
# keep them when it prunes the metadata log.
admin() {
    "${kafka_java[@]}" "$1" --bootstrap-server "$address" "${@:2}"
}

with_authorizer() {
    printf '%s\n' super.users=User:ANONYMOUS \
        authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer \
        >>"$scratch/kafka.properties"
}

list_admin() {
    {
        admin kafka.admin.ConfigCommand --describe --entity-type users &&
            admin kafka.admin.ConfigCommand --describe --entity-type ips &&
            admin kafka.admin.ConfigCommand --describe --entity-type brokers --entity-default &&
            admin org.apache.kafka.tools.AclCommand --list
    } >"$1.unsorted" 2>"$said" && LC_ALL=C sort "$1.unsorted" >"$1"
}

check_admin_made() {
    mkdir "$scratch/theirs" && kafka_configure "$scratch/theirs" && with_authorizer &&
        kafka_format && kafka_start || return
    local alter=(admin kafka.admin.ConfigCommand --alter --add-config)
    "${alter[@]}" 'SCRAM-SHA-512=[iterations=4097,password=x]' --entity-type users \
        --entity-name ada >"$said" 2>&1 &&
        "${alter[@]}" connection_creation_rate=100 --entity-type ips --entity-default \
            >"$said" 2>&1 &&
        "${alter[@]}" log.cleaner.threads=2 --entity-type brokers --entity-default \
            >"$said" 2>&1 &&
        admin org.apache.kafka.tools.AclCommand --add --allow-principal User:ada \
            --operation Read --topic t1 >"$said" 2>&1 &&
        list_admin "$scratch/theirs.admin" && [ "$(wc -l <"$scratch/theirs.admin")" -ge 5 ] &&
        kafka_stop
}

# Three starts, each with records, snapshots and segments of its own.
check_admin_pruned() {
    local i
    for i in 1 2 3; do
        address=127.0.0.1:$(free_port)
        broker_start "$bole" "$scratch/theirs" "${address##*:}" -X "reactor.port=$port" \
            -X metadata.log.segment.ms=1 -X metadata.max.retention.bytes=1 \
            -X metadata.log.max.record.bytes.between.snapshots=1 >"$said" &&
            "$bole" topic create -b "$address" "t$i" >"$said" 2>&1 && bole_stop || return
    done
    ls "$scratch/theirs/__cluster_metadata-0" >"$said"
    ! grep -q '^0*\.log$' "$said" && grep -q '^0*[1-9][0-9]*-.*\.checkpoint$' "$said"
}

check_admin_kept() {
    kafka_configure "$scratch/theirs"
    with_authorizer
    kafka_start && list_admin "$scratch/theirs.again" &&
        diff "$scratch/theirs.admin" "$scratch/theirs.again" >"$said" || return
    call list >"$got" && grep -qx t3 "$got" && kafka_stop && kafka_is_content
}

# --- Java's idempotent producer ------------------------------------------------------------------
# Fed through a pipe, so that the broker dies with its requests in flight.
check_kills() {
    local i producer
    bole_start "$scratch/killed" && call create numbers 1 || return
    many 60000 9 >"$scratch/numbers"
    rm -f "$scratch/feed"
    mkfifo "$scratch/feed"
    call idempotent numbers none <"$scratch/feed" &
    producer=$!
    exec 9>"$scratch/feed"
    for i in 1 2 3 4 5; do
        sed -n "$((i * 10000 - 9999)),$((i * 10000))p" "$scratch/numbers" >&9
        broker_stop KILL
        bole_start_again "$scratch/killed" 9>&- || break # it must not hold the pipe open
    done
    sed -n '50001,60000p' "$scratch/numbers" >&9
    exec 9>&-
    wait $producer || return
    python3 "$clients/records.py" read numbers <"$scratch/numbers" >"$scratch/want"
    call consume numbers >"$got" && as_sent "$got" && bole_stop
}

# --- all of it -----------------------------------------------------------------------------------
# step TEXT FUNCTION...: one row; fails where what follows would have nothing to go on.
step() {
    local before=$failed
    try "$@"
    [ "$failed" -eq "$before" ]
}

kafka_end() {
    kafka_stop KILL
    [ -z "$broker_pid" ] || broker_stop KILL
    rm -rf "$scratch"/ours* "$scratch"/theirs* "$scratch"/killed*
}

run_kafka() {
    try "idempotent producer over kill -9" kills
    [ -z "$broker_pid" ] || broker_stop KILL
    step "a directory of Bole's is made" ours_made &&
        try "the dump tool finds it sound" dump_tool "$scratch/ours" .log .index .timeindex \
            .snapshot &&
        step "a Kafka broker reads every record" kafka_reads_ours &&
        step "it takes more" kafka_writes_ours &&
        step "it complains of nothing" content &&
        step "Bole goes on after it" bole_after_kafka
    kafka_end
    step "a directory of Kafka's is made" theirs_made &&
        try "Bole reads it after a kill -9" bole_reads_killed &&
        try "the dump tool finds that sound" dump_tool "$scratch/killed.bole" .txnindex &&
        step "the Kafka broker stops in order" kafka_stops &&
        step "Bole reads what is committed" bole_reads_theirs "$scratch/theirs" &&
        try "with its settings" their_settings &&
        step "takes more, and starts again" bole_writes_theirs &&
        try "the dump tool finds that sound, too" dump_tool "$scratch/theirs.bole" .txnindex &&
        step "the Kafka broker goes on after it" kafka_goes_on &&
        step "and complains of nothing" content
    kafka_end
    step "what only Kafka acts on is set" admin_made &&
        step "Bole prunes the metadata log" admin_pruned &&
        try "the Kafka broker finds all of it" admin_kept
    kafka_end
}
