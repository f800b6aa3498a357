# Kafka's command line tools: ADDRESS ACTION [ARGUMENT]..., as the other clients.
# Environment: CLASSPATH.
#   lines TOPIC CODEC IDEMPOTENT <LINES    sends with the console producer, prints what the console
#                                          consumer reads, partition by partition
# A line is HEADERS, KEY and VALUE, parted by tabs; `~` is null, or no headers.
set -euo pipefail

address=$1
action=$2
shift 2

tool() {
    # A tool ends before the compiler has earned what it costs.
    java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dlog4j2.level=OFF \
        "$1" --bootstrap-server "$address" "${@:2}"
}

topics() {
    tool org.apache.kafka.tools.TopicCommand "$@"
}

# PARTITION LEADER REPLICAS ISR
partitions() {
    sed -nE 's/\tTopic: [^\t]+\t(.*)/\1/p' | awk '{print $2, $4, $6, $8}'
}

configs() {
    tool kafka.admin.ConfigCommand --describe --all --entity-type "$1s" --entity-name "$2" |
        sed -nE 's/^ +([a-z0-9.]+=[^ ]*).*/\1/p'
}

# `--time -2` is the earliest offset, `-1` the end.
offsets() {
    tool org.apache.kafka.tools.GetOffsetShell --topic "$2" --time "$1" | cut -d : -f 2- |
        tr : ' ' | sort -n
}

lines() {
    local topic=$1 codec=$2 partition count
    local reader=(parse.headers=true parse.key=true "null.marker=~")
    local formatter=(print.headers=true print.key=true "null.literal=~")
    tool org.apache.kafka.tools.ConsoleProducer --topic "$topic" --compression-codec "$codec" \
        --command-property "enable.idempotence=$3" "${reader[@]/#/--reader-property=}" >&2
    offsets -1 "$topic" | while read -r partition count; do
        [ "$count" -gt 0 ] || continue
        tool org.apache.kafka.tools.consumer.ConsoleConsumer --topic "$topic" \
            --partition "$partition" --offset earliest --max-messages "$count" \
            "${formatter[@]/#/--formatter-property=}" </dev/null | sed 's/^NO_HEADERS/~/'
    done
}

case $action in
version) tool org.apache.kafka.tools.TopicCommand --version | cut -d " " -f 1 ;;
create) topics --create --topic "$1" --partitions "$2" >&2 ;;
list) topics --list ;;
describe) topics --describe --topic "$1" | partitions ;;
configs) configs "$@" ;;
grow) topics --alter --topic "$1" --partitions "$2" >&2 ;;
delete) topics --delete --topic "$1" >&2 ;;
offsets) join <(offsets -2 "$1") <(offsets -1 "$1") ;;
lines) lines "$@" ;;
*)
    echo "the tools have nothing for it" >&2
    exit 3
    ;;
esac
