// @platformatic/kafka. Its stream needs a consumer group; to read by partition there is its fetch.
import { Admin, Consumer, Producer, compressionsAlgorithms } from '@platformatic/kafka'
import { Refusal, lineOf, print, records, run, versionOf } from './client.mjs'

const resources = { topic: 2, broker: 4 }
const partitionMaxBytes = 4 << 20

function options(address, more) {
    return { clientId: 'interop', bootstrapBrokers: [address], strict: true, ...more }
}

async function using(client, call) {
    try {
        return await call(client)
    } finally {
        await (client instanceof Consumer ? client.close(true) : client.close())
    }
}

function withAdmin(address, call) {
    return using(new Admin(options(address)), call)
}

async function create(address, topic, partitions) {
    await withAdmin(address, admin => admin.createTopics(
        { topics: [topic], partitions: Number(partitions), replicas: 1 }))
}

async function list(address) {
    print(...await withAdmin(address, admin => admin.listTopics()))
}

async function metadata(address, topics) {
    return await withAdmin(address, admin => admin.metadata({ topics, forceUpdate: true }))
}

async function describe(address, topic) {
    const found = await metadata(address, [topic])
    print(...found.topics.get(topic).partitions.map(
        (part, i) => `${i} ${part.leader} ${part.replicas} ${part.isr}`))
}

async function configs(address, kind, name) {
    const found = await withAdmin(address, admin => admin.describeConfigs(
        { resources: [{ resourceType: resources[kind], resourceName: name }] }))
    print(...found[0].configs.map(entry => `${entry.name}=${entry.value}`))
}

// The library always sends where the new partitions shall be: beside the first.
async function grow(address, topic, count) {
    const { partitions } = (await metadata(address, [topic])).topics.get(topic)
    const assignments = Array.from({ length: count - partitions.length },
        () => ({ brokerIds: [partitions[0].leader] }))
    await withAdmin(address, admin => admin.createPartitions(
        { topics: [{ name: topic, count: Number(count), assignments }] }))
}

async function remove(address, topic) {
    await withAdmin(address, admin => admin.deleteTopics({ topics: [topic] }))
}

async function send(address, topic, compression, idempotent) {
    if (!compressionsAlgorithms[compression].available)
        throw new Refusal(`the library has no ${compression} on Node ${process.versions.node}`)
    const messages = (await records()).map(record => ({
        topic, partition: record.partition, timestamp: BigInt(record.timestampMs),
        key: record.key, value: record.value,
        headers: new Map(record.headers.map(([name, data]) => [Buffer.from(name), data])) }))
    await using(new Producer(options(address, { idempotent })), async producer => {
        for (let at = 0; at < messages.length; at += 10)
            await producer.send({ messages: messages.slice(at, at + 10), acks: -1, compression })
    })
}

async function offsetsOf(consumer, topics, timestamp) {
    return await consumer.listOffsets({ topics, timestamp })
}

function printBatch(topic, partition, from, batch) {
    for (const record of batch.records) {
        const offset = batch.firstOffset + BigInt(record.offsetDelta)
        if (offset >= from)
            print(lineOf(topic, partition, offset, batch.firstTimestamp + record.timestampDelta,
                record.key, record.value, record.headers))
    }
    return batch.firstOffset + BigInt(batch.lastOffsetDelta) + 1n
}

async function consume(address, ...topics) {
    const found = await metadata(address, topics)
    await using(new Consumer(options(address, { groupId: 'interop' })), async consumer => {
        const ends = await offsetsOf(consumer, topics, -1n)
        for (const topic of topics) {
            const { id, partitions } = found.topics.get(topic)
            for (const [partition, { leader }] of partitions.entries()) {
                let at = 0n
                while (at < ends.get(topic)[partition]) {
                    const answer = await consumer.fetch({ node: leader, topics: [{ topicId: id,
                        partitions: [{ partition, fetchOffset: at, currentLeaderEpoch: -1,
                            lastFetchedEpoch: -1, partitionMaxBytes }] }] })
                    for (const batch of answer.responses[0].partitions[0].records)
                        at = printBatch(topic, partition, at, batch)
                }
            }
        }
    })
}

async function group(address, groupId, topic) {
    await using(new Consumer(options(address, { groupId })), async consumer => {
        const ends = await offsetsOf(consumer, [topic], -1n)
        let left = ends.get(topic).reduce((sum, end) => sum + Number(end), 0)
        const stream = await consumer.consume({ topics: [topic], mode: 'earliest',
            autocommit: true })
        for await (const message of stream) {
            print(lineOf(topic, message.partition, message.offset, message.timestamp, message.key,
                message.value, [...message.headers]))
            if (--left === 0) break
        }
    })
}

async function offsets(address, topic) {
    await using(new Consumer(options(address, { groupId: 'interop' })), async consumer => {
        const first = await offsetsOf(consumer, [topic], -2n)
        const ends = await offsetsOf(consumer, [topic], -1n)
        print(...ends.get(topic).map((end, i) => `${i} ${first.get(topic)[i]} ${end}`))
    })
}

await run({
    version: () => print(versionOf('@platformatic/kafka')),
    create, list, describe, configs, grow, delete: remove, consume, group, offsets,
    produce: (address, topic, codec) => send(address, topic, codec, false),
    idempotent: (address, topic, codec) => send(address, topic, codec, true)
})
