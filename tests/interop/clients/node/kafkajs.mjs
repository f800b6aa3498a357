// KafkaJS: it reads with consumer groups only.
import kafkajs from 'kafkajs'
import snappy from 'kafkajs-snappy'
import { Refusal, lineOf, print, records, run, versionOf } from './client.mjs'

const codecs = { none: 0, gzip: kafkajs.CompressionTypes.GZIP,
    snappy: kafkajs.CompressionTypes.Snappy }
const resources = { topic: kafkajs.ConfigResourceTypes.TOPIC,
    broker: kafkajs.ConfigResourceTypes.BROKER }

kafkajs.CompressionCodecs[kafkajs.CompressionTypes.Snappy] = snappy

function open(address) {
    return new kafkajs.Kafka({ brokers: [address], logLevel: kafkajs.logLevel.ERROR })
}

async function withAdmin(address, call) {
    const admin = open(address).admin()
    await admin.connect()
    try {
        return await call(admin)
    } finally {
        await admin.disconnect()
    }
}

async function create(address, topic, partitions) {
    await withAdmin(address, admin => admin.createTopics({
        topics: [{ topic, numPartitions: Number(partitions), replicationFactor: 1 }] }))
}

async function list(address) {
    print(...await withAdmin(address, admin => admin.listTopics()))
}

async function describe(address, topic) {
    const found = await withAdmin(address, admin => admin.fetchTopicMetadata({ topics: [topic] }))
    found.topics[0].partitions.sort((a, b) => a.partitionId - b.partitionId)
    print(...found.topics[0].partitions.map(
        part => `${part.partitionId} ${part.leader} ${part.replicas} ${part.isr}`))
}

async function configs(address, kind, name) {
    const found = await withAdmin(address, admin => admin.describeConfigs({
        includeSynonyms: false, resources: [{ type: resources[kind], name }] }))
    print(...found.resources[0].configEntries.map(
        entry => `${entry.configName}=${entry.configValue}`))
}

async function grow(address, topic, count) {
    await withAdmin(address, admin => admin.createPartitions({
        topicPartitions: [{ topic, count: Number(count) }] }))
}

async function remove(address, topic) {
    await withAdmin(address, admin => admin.deleteTopics({ topics: [topic] }))
}

function asObject(headers) {
    const object = {}
    for (const [name, data] of headers)
        object[name] = name in object ? [object[name], data].flat() : data
    return object
}

async function send(address, topic, codec, idempotent) {
    if (!(codec in codecs)) throw new Refusal(`the library has no ${codec} of its own`)
    const producer = open(address).producer({ idempotent,
        createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
    await producer.connect()
    const messages = (await records()).map(record => ({
        partition: record.partition, timestamp: record.timestampMs, key: record.key,
        value: record.value, headers: asObject(record.headers) }))
    // All in one call would be a batch larger than a broker takes.
    for (let at = 0; at < messages.length; at += 10)
        await producer.send({ topic, acks: -1, compression: codecs[codec],
            messages: messages.slice(at, at + 10) })
    await producer.disconnect()
}

async function group(address, groupId, topic) {
    const offsets = await withAdmin(address, admin => admin.fetchTopicOffsets(topic))
    let left = offsets.reduce((sum, part) => sum + Number(part.offset), 0)
    const consumer = open(address).consumer({ groupId })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await new Promise((resolve, reject) => {
        consumer.on(consumer.events.CRASH, event => reject(event.payload.error))
        consumer.run({ eachMessage: async ({ partition, message }) => {
            const headers = Object.entries(message.headers).flatMap(
                ([name, data]) => [data].flat().map(one => [name, one]))
            print(lineOf(topic, partition, message.offset, message.timestamp, message.key,
                message.value, headers))
            if (--left === 0) resolve()
        } }).catch(reject)
    })
    await consumer.disconnect()
}

async function offsets(address, topic) {
    const found = await withAdmin(address, admin => admin.fetchTopicOffsets(topic))
    found.sort((a, b) => a.partition - b.partition)
    print(...found.map(part => `${part.partition} ${part.low} ${part.high}`))
}

await run({
    version: () => print(versionOf('kafkajs')),
    create, list, describe, configs, grow, delete: remove, group, offsets,
    produce: (address, topic, codec) => send(address, topic, codec, false),
    idempotent: (address, topic, codec) => send(address, topic, codec, true),
    consume: () => { throw new Refusal('the library reads with consumer groups only') }
})
