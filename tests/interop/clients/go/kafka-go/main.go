// kafka-go, which speaks older versions than the others.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"bole/interop/client"

	"github.com/segmentio/kafka-go"
)

var codecs = map[string]kafka.Compression{
	"none": 0, "gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4, "zstd": kafka.Zstd,
}

var background = context.Background()

func admin(address string) *kafka.Client {
	return &kafka.Client{Addr: kafka.TCP(address), Timeout: 30 * time.Second}
}

func create(address string, arguments []string) error {
	answer, err := admin(address).CreateTopics(background, &kafka.CreateTopicsRequest{
		Topics: []kafka.TopicConfig{{Topic: arguments[0], ReplicationFactor: 1,
			NumPartitions: int(client.Number(arguments[1]))}}})
	if err != nil {
		return err
	}
	return answer.Errors[arguments[0]]
}

func metadata(address string, topics []string) ([]kafka.Topic, error) {
	answer, err := admin(address).Metadata(background, &kafka.MetadataRequest{Topics: topics})
	if err != nil {
		return nil, err
	}
	return answer.Topics, nil
}

func list(address string, _ []string) error {
	topics, err := metadata(address, nil)
	for _, topic := range topics {
		client.Print(topic.Name)
	}
	return err
}

func idsOf(brokers []kafka.Broker) (ids []int32) {
	for _, broker := range brokers {
		ids = append(ids, int32(broker.ID))
	}
	return ids
}

func partitionsOf(address, topic string) (map[int]kafka.Partition, error) {
	topics, err := metadata(address, []string{topic})
	if err != nil {
		return nil, err
	}
	found := map[int]kafka.Partition{}
	for _, partition := range topics[0].Partitions {
		found[partition.ID] = partition
	}
	return found, topics[0].Error
}

func describe(address string, arguments []string) error {
	found, err := partitionsOf(address, arguments[0])
	for i := 0; i < len(found); i++ {
		client.PrintPartition(int32(i), int32(found[i].Leader.ID), idsOf(found[i].Replicas),
			idsOf(found[i].Isr))
	}
	return err
}

func configs(address string, arguments []string) error {
	kind := kafka.ResourceTypeTopic
	if arguments[0] == "broker" {
		kind = kafka.ResourceTypeBroker
	}
	answer, err := admin(address).DescribeConfigs(background, &kafka.DescribeConfigsRequest{
		Resources: []kafka.DescribeConfigRequestResource{
			{ResourceType: kind, ResourceName: arguments[1]}}})
	if err != nil {
		return err
	}
	for _, entry := range answer.Resources[0].ConfigEntries {
		client.Print(entry.ConfigName + "=" + entry.ConfigValue)
	}
	return answer.Resources[0].Error
}

func grow(address string, arguments []string) error {
	answer, err := admin(address).CreatePartitions(background, &kafka.CreatePartitionsRequest{
		Topics: []kafka.TopicPartitionsConfig{
			{Name: arguments[0], Count: client.Number(arguments[1])}}})
	if err != nil {
		return err
	}
	return answer.Errors[arguments[0]]
}

func remove(address string, arguments []string) error {
	answer, err := admin(address).DeleteTopics(background, &kafka.DeleteTopicsRequest{
		Topics: arguments})
	if err != nil {
		return err
	}
	return answer.Errors[arguments[0]]
}

func produce(address string, arguments []string) error {
	records, err := client.Records()
	if err != nil {
		return err
	}
	writer := kafka.Writer{Addr: kafka.TCP(address), Topic: arguments[0],
		RequiredAcks: kafka.RequireAll, Compression: codecs[arguments[1]],
		BatchTimeout: 20 * time.Millisecond,
		Balancer: kafka.BalancerFunc(func(message kafka.Message, _ ...int) int {
			return message.Partition
		})}
	messages := []kafka.Message{}
	for _, record := range records {
		message := kafka.Message{Partition: int(record.Partition), Time: record.Time,
			Key: record.Key, Value: record.Value}
		for _, header := range record.Headers {
			message.Headers = append(message.Headers,
				kafka.Header{Key: header.Name, Value: header.Value})
		}
		messages = append(messages, message)
	}
	return errors.Join(writer.WriteMessages(background, messages...), writer.Close())
}

func printMessage(message kafka.Message) {
	read := client.Record{Partition: int32(message.Partition), Time: message.Time,
		Key: message.Key, Value: message.Value}
	for _, header := range message.Headers {
		read.Headers = append(read.Headers, client.Header{Name: header.Key, Value: header.Value})
	}
	client.PrintRecord(message.Topic, message.Offset, read)
}

func ends(address, topic string) (first, end map[int]int64, err error) {
	found, err := partitionsOf(address, topic)
	if err != nil {
		return nil, nil, err
	}
	requests := []kafka.OffsetRequest{}
	for i := range found {
		requests = append(requests, kafka.FirstOffsetOf(i), kafka.LastOffsetOf(i))
	}
	answer, err := admin(address).ListOffsets(background, &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{topic: requests}})
	if err != nil {
		return nil, nil, err
	}
	first, end = map[int]int64{}, map[int]int64{}
	for _, partition := range answer.Topics[topic] {
		first[partition.Partition], end[partition.Partition] =
			partition.FirstOffset, partition.LastOffset
		err = errors.Join(err, partition.Error)
	}
	return first, end, err
}

func readPartition(reader *kafka.Reader, end int64) error {
	for offset := int64(0); offset < end; offset++ {
		message, err := reader.ReadMessage(background)
		if err != nil {
			return err
		}
		printMessage(message)
	}
	return nil
}

func consume(address string, topics []string) error {
	for _, topic := range topics {
		_, end, err := ends(address, topic)
		if err != nil {
			return err
		}
		for i := 0; i < len(end); i++ {
			reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{address}, Topic: topic,
				Partition: i, MaxBytes: 10 << 20, MaxWait: 100 * time.Millisecond})
			if err := readPartition(reader, end[i]); err != nil {
				return fmt.Errorf("%s-%d: %w", topic, i, err)
			}
			if err := reader.Close(); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
		}
	}
	return nil
}

func group(address string, arguments []string) error {
	_, end, err := ends(address, arguments[1])
	if err != nil {
		return err
	}
	var left int64
	for _, partition := range end {
		left += partition
	}
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{address},
		GroupID: arguments[0], Topic: arguments[1], MaxBytes: 10 << 20,
		StartOffset: kafka.FirstOffset, MaxWait: 100 * time.Millisecond})
	return errors.Join(readPartition(reader, left), reader.Close())
}

func offsets(address string, arguments []string) error {
	first, end, err := ends(address, arguments[0])
	for i := 0; i < len(end); i++ {
		client.Print(i, first[i], end[i])
	}
	return err
}

func main() {
	client.Run("github.com/segmentio/kafka-go", client.Actions{
		"create": create, "list": list, "describe": describe, "configs": configs, "grow": grow,
		"delete": remove, "produce": produce, "consume": consume, "group": group,
		"offsets": offsets,
	})
}
