// franz-go.
package main

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"bole/interop/client"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

var background = context.Background()

func open(address string, options ...kgo.Opt) *kgo.Client {
	opened, err := kgo.NewClient(append(options, kgo.SeedBrokers(address))...)
	if err != nil {
		panic(err)
	}
	return opened
}

func admin(address string) *kadm.Client {
	return kadm.NewClient(open(address))
}

func create(address string, arguments []string) error {
	_, err := admin(address).CreateTopic(background, client.Number(arguments[1]), 1, nil,
		arguments[0])
	return err
}

func list(address string, _ []string) error {
	topics, err := admin(address).ListTopics(background)
	for _, name := range topics.Names() {
		client.Print(name)
	}
	return err
}

func describe(address string, arguments []string) error {
	topics, err := admin(address).ListTopics(background, arguments[0])
	if err != nil {
		return err
	}
	for _, partition := range topics[arguments[0]].Partitions.Sorted() {
		client.PrintPartition(partition.Partition, partition.Leader, partition.Replicas,
			partition.ISR)
	}
	return topics[arguments[0]].Err
}

func configs(address string, arguments []string) error {
	var found kadm.ResourceConfigs
	var err error
	if arguments[0] == "topic" {
		found, err = admin(address).DescribeTopicConfigs(background, arguments[1])
	} else {
		found, err = admin(address).DescribeBrokerConfigs(background, client.Number(arguments[1]))
	}
	if err != nil {
		return err
	}
	for _, config := range found[0].Configs {
		client.Print(config.Key + "=" + config.MaybeValue())
	}
	return found[0].Err
}

func grow(address string, arguments []string) error {
	answers, err := admin(address).UpdatePartitions(background, int(client.Number(arguments[1])),
		arguments[0])
	return errors.Join(err, answers.Error())
}

func remove(address string, arguments []string) error {
	_, err := admin(address).DeleteTopic(background, arguments[0])
	return err
}

func send(address string, arguments []string, options ...kgo.Opt) error {
	records, err := client.Records()
	if err != nil {
		return err
	}
	producer := open(address, append(options, kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(codecs[arguments[1]]))...)
	defer producer.Close()
	for _, record := range records {
		sent := &kgo.Record{Topic: arguments[0], Partition: record.Partition,
			Timestamp: record.Time, Key: record.Key, Value: record.Value}
		for _, header := range record.Headers {
			sent.Headers = append(sent.Headers,
				kgo.RecordHeader{Key: header.Name, Value: header.Value})
		}
		producer.Produce(background, sent, func(_ *kgo.Record, failure error) {
			if failure != nil {
				err = failure
			}
		})
	}
	return errors.Join(producer.Flush(background), err)
}

func produce(address string, arguments []string) error {
	return send(address, arguments, kgo.DisableIdempotentWrite())
}

func idempotent(address string, arguments []string) error {
	return send(address, arguments)
}

// ends returns where each partition ends, and how many records there are.
func ends(address string, topics []string) (kadm.ListedOffsets, int64, error) {
	found, err := admin(address).ListEndOffsets(background, topics...)
	if err == nil {
		err = found.Error()
	}
	var total int64
	found.Each(func(end kadm.ListedOffset) { total += end.Offset })
	return found, total, err
}

// readOn writes down what comes until `left` records have come.
func readOn(consumer *kgo.Client, left int64) error {
	for left > 0 {
		fetches := consumer.PollFetches(background)
		if err := fetches.Err(); err != nil {
			return err
		}
		fetches.EachRecord(func(record *kgo.Record) {
			read := client.Record{Partition: record.Partition, Time: record.Timestamp,
				Key: record.Key, Value: record.Value}
			for _, header := range record.Headers {
				read.Headers = append(read.Headers,
					client.Header{Name: header.Key, Value: header.Value})
			}
			client.PrintRecord(record.Topic, record.Offset, read)
			left--
		})
	}
	return nil
}

func consume(address string, topics []string) error {
	found, total, err := ends(address, topics)
	if err != nil {
		return err
	}
	starts := map[string]map[int32]kgo.Offset{}
	found.Each(func(end kadm.ListedOffset) {
		if starts[end.Topic] == nil {
			starts[end.Topic] = map[int32]kgo.Offset{}
		}
		starts[end.Topic][end.Partition] = kgo.NewOffset().AtStart()
	})
	consumer := open(address, kgo.ConsumePartitions(starts))
	defer consumer.Close()
	return readOn(consumer, total)
}

func group(address string, arguments []string) error {
	_, total, err := ends(address, arguments[1:])
	if err != nil {
		return err
	}
	consumer := open(address, kgo.ConsumerGroup(arguments[0]), kgo.ConsumeTopics(arguments[1:]...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer consumer.Close()
	if err := readOn(consumer, total); err != nil {
		return err
	}
	return consumer.CommitUncommittedOffsets(background)
}

func offsets(address string, arguments []string) error {
	starts, err := admin(address).ListStartOffsets(background, arguments...)
	if err != nil {
		return err
	}
	found, _, err := ends(address, arguments)
	lines := []string{}
	found.Each(func(end kadm.ListedOffset) {
		start, _ := starts.Lookup(end.Topic, end.Partition)
		lines = append(lines, fmt.Sprint(end.Partition, " ", start.Offset, " ", end.Offset))
	})
	sort.Strings(lines)
	for _, line := range lines {
		client.Print(line)
	}
	return err
}

func main() {
	client.Run("github.com/twmb/franz-go", client.Actions{
		"create": create, "list": list, "describe": describe, "configs": configs, "grow": grow,
		"delete": remove, "produce": produce, "idempotent": idempotent, "consume": consume,
		"group": group, "offsets": offsets,
	})
}
