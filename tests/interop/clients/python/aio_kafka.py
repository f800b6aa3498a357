"""aiokafka."""
import asyncio

import aiokafka
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

import client


async def with_admin(address, call):
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        return await call(admin)
    finally:
        await admin.close()


def check_errors(response, field):
    for entry in getattr(response, field):
        if entry[1]:
            raise RuntimeError(f"{entry}")


async def create(address, topic, partitions):
    check_errors(await with_admin(address, lambda admin: admin.create_topics(
        [NewTopic(topic, int(partitions), 1)])), "topic_errors")


async def names(address):
    print("\n".join(await with_admin(address, lambda admin: admin.list_topics())))


async def describe(address, topic):
    found = await with_admin(address, lambda admin: admin.describe_topics([topic]))
    for part in found[0]["partitions"]:
        print(part["partition"], part["leader"], client.ids(part["replicas"]),
              client.ids(part["isr"]))


async def configs(address, kind, name):
    resource = ConfigResource(ConfigResourceType[kind.upper()], name)
    for response in await with_admin(address, lambda admin: admin.describe_configs([resource])):
        for found in response.resources:
            for entry in found[4]:
                print(f"{entry[0]}={entry[1]}")


async def grow(address, topic, count):
    check_errors(await with_admin(address, lambda admin: admin.create_partitions(
        {topic: NewPartitions(int(count))})), "topic_errors")


async def delete(address, topic):
    check_errors(await with_admin(address, lambda admin: admin.delete_topics([topic])),
                 "topic_error_codes")


async def produce(address, topic, codec, idempotent=False):
    async with aiokafka.AIOKafkaProducer(
            bootstrap_servers=address, acks="all", linger_ms=20, enable_idempotence=idempotent,
            compression_type=None if codec == "none" else codec) as producer:
        futures = [await producer.send(topic, partition=record.partition, key=record.key,
                                       value=record.value, headers=record.headers,
                                       timestamp_ms=record.timestamp_ms)
                   for record in client.records()]
        for future in futures:
            await future


def open_consumer(address, *topics, **more):
    return aiokafka.AIOKafkaConsumer(*topics, bootstrap_servers=address,
                                     auto_offset_reset="earliest", enable_auto_commit=False,
                                     **more)


async def parts_of(address, topics):
    parts = []
    for topic in topics:
        found = await with_admin(address, lambda admin, name=topic: admin.describe_topics([name]))
        parts += sorted(aiokafka.TopicPartition(topic, part["partition"])
                        for part in found[0]["partitions"])
    return parts


async def read_on(consumer, left):
    while left > 0:
        for batch in (await consumer.getmany(timeout_ms=1000)).values():
            for record in batch:
                client.print_record(record.topic, record.partition, record.offset,
                                    record.timestamp, record.key, record.value, record.headers)
                left -= 1


async def consume(address, *topics):
    parts = await parts_of(address, topics)
    async with open_consumer(address) as consumer:
        consumer.assign(parts)
        await read_on(consumer, sum((await consumer.end_offsets(parts)).values()))


async def group(address, name, topic):
    parts = await parts_of(address, [topic])
    async with open_consumer(address, topic, group_id=name) as consumer:
        await read_on(consumer, sum((await consumer.end_offsets(parts)).values()))
        await consumer.commit()


async def offsets(address, topic):
    parts = await parts_of(address, [topic])
    async with open_consumer(address) as consumer:
        first, end = await consumer.beginning_offsets(parts), await consumer.end_offsets(parts)
        for part in parts:
            print(part.partition, first[part], end[part])


async def version(_):
    print(aiokafka.__version__)


async def idempotent(*arguments):
    await produce(*arguments, idempotent=True)


def awaited(action):
    return lambda *arguments: asyncio.run(action(*arguments))


client.run({name: awaited(action) for name, action in {
    "version": version, "create": create, "list": names, "describe": describe,
    "configs": configs, "grow": grow, "delete": delete, "produce": produce,
    "consume": consume, "group": group, "offsets": offsets, "idempotent": idempotent,
}.items()})
