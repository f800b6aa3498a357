"""kafka-python."""
import kafka
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic

import client


def create(address, topic, partitions):
    with_admin(address).create_topics([NewTopic(topic, int(partitions), 1)])


def with_admin(address):
    return KafkaAdminClient(bootstrap_servers=address)


def names(address):
    print("\n".join(with_admin(address).list_topics()))


def describe(address, topic):
    found = with_admin(address).describe_topics([topic])[0]
    for part in found["partitions"]:
        print(part["partition_index"], part["leader_id"], client.ids(part["replica_nodes"]),
              client.ids(part["isr_nodes"]))


def configs(address, kind, name):
    resource = ConfigResource(ConfigResourceType[kind.upper()], name)
    for found in with_admin(address).describe_configs([resource], config_filter="all").values():
        for values in found.values():
            for key, entry in values.items():
                print(f"{key}={entry['value']}")


def grow(address, topic, count):
    with_admin(address).create_partitions({topic: int(count)})


def delete(address, topic):
    with_admin(address).delete_topics([topic])


def produce(address, topic, codec, idempotent=False):
    producer = kafka.KafkaProducer(bootstrap_servers=address, acks="all", linger_ms=20,
                                   enable_idempotence=idempotent,
                                   compression_type=None if codec == "none" else codec)
    futures = [producer.send(topic, partition=record.partition, key=record.key,
                             value=record.value, headers=record.headers,
                             timestamp_ms=record.timestamp_ms) for record in client.records()]
    for future in futures:
        future.get(timeout=30)
    producer.close()


def open_consumer(address, **more):
    return kafka.KafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest",
                               enable_auto_commit=False, **more)


def partitions_of(consumer, topics):
    return [kafka.TopicPartition(topic, partition) for topic in topics
            for partition in sorted(consumer.partitions_for_topic(topic))]


def read_on(consumer, left):
    """Prints what comes until `left` records have come."""
    while left > 0:
        for batch in consumer.poll(timeout_ms=1000).values():
            for record in batch:
                client.print_record(record.topic, record.partition, record.offset,
                                    record.timestamp, record.key, record.value, record.headers)
                left -= 1


def consume(address, *topics):
    consumer = open_consumer(address)
    parts = partitions_of(consumer, topics)
    consumer.assign(parts)
    consumer.seek_to_beginning()
    read_on(consumer, sum(consumer.end_offsets(parts).values()))


def group(address, name, topic):
    consumer = open_consumer(address, group_id=name)
    left = sum(consumer.end_offsets(partitions_of(consumer, [topic])).values())
    consumer.subscribe([topic])
    read_on(consumer, left)
    consumer.commit()
    consumer.close()


def offsets(address, topic):
    consumer = open_consumer(address)
    parts = partitions_of(consumer, [topic])
    first, end = consumer.beginning_offsets(parts), consumer.end_offsets(parts)
    for part in parts:
        print(part.partition, first[part], end[part])


client.run({
    "version": lambda address: print(kafka.__version__),
    "create": create, "list": names, "describe": describe, "configs": configs, "grow": grow,
    "delete": delete, "produce": produce, "consume": consume, "group": group, "offsets": offsets,
    "idempotent": lambda *arguments: produce(*arguments, idempotent=True),
})
