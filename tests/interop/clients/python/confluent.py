"""confluent-kafka, which is librdkafka; newer than Debian's."""
import confluent_kafka
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

import client


def create(admin, topic, partitions):
    admin.create_topics([NewTopic(topic, int(partitions), 1)])[topic].result()


def names(admin):
    print("\n".join(admin.list_topics(timeout=10).topics))


def describe(admin, topic):
    found = admin.list_topics(topic, timeout=10).topics[topic]
    for number, part in sorted(found.partitions.items()):
        print(number, part.leader, client.ids(part.replicas), client.ids(part.isrs))


def configs(admin, kind, name):
    resource = ConfigResource(ConfigResource.Type[kind.upper()], name)
    found = admin.describe_configs([resource])[resource].result()
    for key, entry in found.items():
        print(f"{key}={entry.value}")


def grow(admin, topic, count):
    admin.create_partitions([NewPartitions(topic, int(count))])[topic].result()


def delete(admin, topic):
    admin.delete_topics([topic])[topic].result()


def produce(address, topic, codec, idempotent=False):
    failures = []
    producer = confluent_kafka.Producer({
        "bootstrap.servers": address, "compression.type": codec, "acks": "all", "linger.ms": 20,
        "enable.idempotence": idempotent})
    for record in client.records():
        producer.produce(topic, partition=record.partition, key=record.key, value=record.value,
                         headers=record.headers, timestamp=record.timestamp_ms,
                         on_delivery=lambda error, _: failures.append(error) if error else None)
        producer.poll(0)
    left = producer.flush(30)
    if left or failures:
        raise RuntimeError(f"{left} not sent; {failures[:3]}")


def open_consumer(address, name="interop"):
    # Assigned by hand, the name of the group is never sent.
    return confluent_kafka.Consumer({
        "bootstrap.servers": address, "group.id": name, "auto.offset.reset": "earliest",
        "enable.auto.commit": False, "fetch.wait.max.ms": 100})


def parts_of(consumer, topic):
    found = consumer.list_topics(topic, timeout=10).topics[topic]
    return [confluent_kafka.TopicPartition(topic, number, 0) for number in sorted(found.partitions)]


def read_on(consumer, left, passed_over=None):
    while left > 0:
        record = consumer.poll(1)
        if record is None or record.error() and record.error().code() == passed_over:
            continue
        if record.error():
            raise RuntimeError(record.error())
        client.print_record(record.topic(), record.partition(), record.offset(),
                            record.timestamp()[1], record.key(), record.value(), record.headers())
        left -= 1
    consumer.close()


def total(consumer, parts):
    return sum(consumer.get_watermark_offsets(part, timeout=10)[1] for part in parts)


def consume(address, *topics):
    consumer = open_consumer(address)
    parts = [part for topic in topics for part in parts_of(consumer, topic)]
    consumer.assign(parts)
    # It looks for a coordinator all the same, and tells once if there is none.
    read_on(consumer, total(consumer, parts), confluent_kafka.KafkaError.UNSUPPORTED_VERSION)


def group(address, name, topic):
    consumer = open_consumer(address, name)
    left = total(consumer, parts_of(consumer, topic))
    consumer.subscribe([topic])
    read_on(consumer, left)


def offsets(address, topic):
    consumer = open_consumer(address)
    for part in parts_of(consumer, topic):
        print(part.partition, *consumer.get_watermark_offsets(part, timeout=10))


def with_admin(call):
    """The client must live as long as what it has promised."""
    def action(address, *arguments):
        admin = AdminClient({"bootstrap.servers": address})
        call(admin, *arguments)
    return action


client.run({
    "version": lambda address: print(confluent_kafka.version()),
    "create": with_admin(create), "list": with_admin(names), "describe": with_admin(describe),
    "configs": with_admin(configs), "grow": with_admin(grow), "delete": with_admin(delete),
    "produce": produce, "consume": consume, "group": group, "offsets": offsets,
    "idempotent": lambda *arguments: produce(*arguments, idempotent=True),
})
