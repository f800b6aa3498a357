// What the clients for Node share: lines of records (../records.py says what is in one), and the
// choice of the action. An action that throws a Refusal is one that the library has not.
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'

export class Refusal extends Error {}

export function bytesOf(word) {
    if (word === '-') return null
    return word === '.' ? Buffer.alloc(0) : Buffer.from(word, 'hex')
}

function textOf(data) {
    if (data === null || data === undefined) return '-'
    return Buffer.from(data).toString('hex') || '.'
}

// The records to be sent; their headers are [name, value] pairs.
export async function records() {
    const lines = (await text(process.stdin)).split('\n').filter(line => line)
    return lines.map(line => {
        const [partition, timestampMs, key, value, headers] = line.split(' ')
        const pairs = headers === '-' ? [] : headers.split(',').map(pair => pair.split(':'))
        return {
            partition: Number(partition), timestampMs, key: bytesOf(key), value: bytesOf(value),
            headers: pairs.map(([name, data]) => [bytesOf(name).toString(), bytesOf(data)])
        }
    })
}

export function lineOf(topic, partition, offset, timestampMs, key, value, headers) {
    const pairs = headers.map(([name, data]) => `${textOf(name)}:${textOf(data)}`)
    return [topic, partition, offset, timestampMs, textOf(key), textOf(value),
        pairs.join(',') || '-'].join(' ')
}

export function print(...lines) {
    process.stdout.write(lines.map(line => line + '\n').join(''))
}

export function versionOf(library) {
    const file = new URL(`node_modules/${library}/package.json`, import.meta.url)
    return JSON.parse(readFileSync(file)).version
}

// PROGRAM ADDRESS ACTION [ARGUMENT]...: exit status 3 and a reason where it can't be done.
export async function run(actions) {
    const [address, name, ...rest] = process.argv.slice(2)
    try {
        if (!actions[name]) throw new Refusal('the library has nothing for it')
        await actions[name](address, ...rest)
    } catch (error) {
        console.error(error instanceof Refusal ? error.message : error)
        process.exitCode = error instanceof Refusal ? 3 : 1
    }
}
