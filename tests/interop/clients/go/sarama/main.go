// Sarama.
package main

import (
	"context"
	"fmt"
	"time"

	"bole/interop/client"

	"github.com/IBM/sarama"
)

var codecs = map[string]sarama.CompressionCodec{
	"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP,
	"snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
}

func config() *sarama.Config {
	chosen := sarama.NewConfig()
	chosen.Version = sarama.MaxVersion
	chosen.Producer.Return.Successes = true
	chosen.Producer.RequiredAcks = sarama.WaitForAll
	chosen.Producer.Partitioner = sarama.NewManualPartitioner
	chosen.Consumer.Offsets.Initial = sarama.OffsetOldest
	chosen.Consumer.MaxWaitTime = 20 * time.Millisecond // a new partition waits for a fetch's end
	return chosen
}

func admin(address string) sarama.ClusterAdmin {
	opened, err := sarama.NewClusterAdmin([]string{address}, config())
	if err != nil {
		panic(err)
	}
	return opened
}

func open(address string) sarama.Client {
	opened, err := sarama.NewClient([]string{address}, config())
	if err != nil {
		panic(err)
	}
	return opened
}

func create(address string, arguments []string) error {
	return admin(address).CreateTopic(arguments[0], &sarama.TopicDetail{
		NumPartitions: client.Number(arguments[1]), ReplicationFactor: 1}, false)
}

func list(address string, _ []string) error {
	topics, err := admin(address).ListTopics()
	for name := range topics {
		client.Print(name)
	}
	return err
}

func describe(address string, arguments []string) error {
	topics, err := admin(address).DescribeTopics(arguments)
	if err != nil {
		return err
	}
	found := map[int32]*sarama.PartitionMetadata{}
	for _, partition := range topics[0].Partitions {
		found[partition.ID] = partition
	}
	for i := int32(0); i < int32(len(found)); i++ {
		client.PrintPartition(i, found[i].Leader, found[i].Replicas, found[i].Isr)
	}
	return nil
}

func configs(address string, arguments []string) error {
	kind := sarama.TopicResource
	if arguments[0] == "broker" {
		kind = sarama.BrokerResource
	}
	entries, err := admin(address).DescribeConfig(
		sarama.ConfigResource{Type: kind, Name: arguments[1]})
	for _, entry := range entries {
		client.Print(entry.Name + "=" + entry.Value)
	}
	return err
}

func grow(address string, arguments []string) error {
	return admin(address).CreatePartitions(arguments[0], client.Number(arguments[1]), nil, false)
}

func remove(address string, arguments []string) error {
	return admin(address).DeleteTopic(arguments[0])
}

func send(address string, arguments []string, chosen *sarama.Config) error {
	chosen.Producer.Compression = codecs[arguments[1]]
	producer, err := sarama.NewSyncProducer([]string{address}, chosen)
	if err != nil {
		return err
	}
	records, err := client.Records()
	if err != nil {
		return err
	}
	messages := []*sarama.ProducerMessage{}
	for _, record := range records {
		message := &sarama.ProducerMessage{Topic: arguments[0], Partition: record.Partition,
			Timestamp: record.Time}
		if record.Key != nil {
			message.Key = sarama.ByteEncoder(record.Key)
		}
		if record.Value != nil {
			message.Value = sarama.ByteEncoder(record.Value)
		}
		for _, header := range record.Headers {
			message.Headers = append(message.Headers,
				sarama.RecordHeader{Key: []byte(header.Name), Value: header.Value})
		}
		messages = append(messages, message)
	}
	if err := producer.SendMessages(messages); err != nil {
		return err
	}
	return producer.Close()
}

func produce(address string, arguments []string) error {
	return send(address, arguments, config())
}

func idempotent(address string, arguments []string) error {
	chosen := config()
	chosen.Producer.Idempotent = true
	chosen.Net.MaxOpenRequests = 1
	return send(address, arguments, chosen)
}

func printMessage(message *sarama.ConsumerMessage) {
	read := client.Record{Partition: message.Partition, Time: message.Timestamp, Key: message.Key,
		Value: message.Value}
	for _, header := range message.Headers {
		read.Headers = append(read.Headers,
			client.Header{Name: string(header.Key), Value: header.Value})
	}
	client.PrintRecord(message.Topic, message.Offset, read)
}

func consume(address string, topics []string) error {
	found := open(address)
	consumer, err := sarama.NewConsumerFromClient(found)
	if err != nil {
		return err
	}
	for _, topic := range topics {
		partitions, err := found.Partitions(topic)
		if err != nil {
			return err
		}
		for _, partition := range partitions {
			end, err := found.GetOffset(topic, partition, sarama.OffsetNewest)
			if err != nil {
				return err
			}
			reader, err := consumer.ConsumePartition(topic, partition, sarama.OffsetOldest)
			if err != nil {
				return err
			}
			for offset := int64(0); offset < end; offset++ {
				printMessage(<-reader.Messages())
			}
			reader.AsyncClose()
		}
	}
	return nil
}

// member is the group's handler: it hands on what comes.
type member struct {
	messages chan *sarama.ConsumerMessage
}

func (member) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (member) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (m member) ConsumeClaim(session sarama.ConsumerGroupSession,
	claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		m.messages <- message
		session.MarkMessage(message, "")
	}
	return nil
}

func group(address string, arguments []string) error {
	found := open(address)
	partitions, err := found.Partitions(arguments[1])
	if err != nil {
		return err
	}
	var left int64
	for _, partition := range partitions {
		end, err := found.GetOffset(arguments[1], partition, sarama.OffsetNewest)
		if err != nil {
			return err
		}
		left += end
	}
	consumer, err := sarama.NewConsumerGroupFromClient(arguments[0], found)
	if err != nil {
		return err
	}
	handler := member{make(chan *sarama.ConsumerMessage)}
	ended := make(chan error, 1)
	go func() { ended <- consumer.Consume(context.Background(), arguments[1:], handler) }()
	for ; left > 0; left-- {
		select {
		case message := <-handler.messages:
			printMessage(message)
		case err := <-ended:
			return fmt.Errorf("the session ended: %w", err)
		case <-time.After(30 * time.Second):
			return fmt.Errorf("nothing came for 30 s; %d records left", left)
		}
	}
	return consumer.Close()
}

func offsets(address string, arguments []string) error {
	found := open(address)
	partitions, err := found.Partitions(arguments[0])
	if err != nil {
		return err
	}
	for _, partition := range partitions {
		first, err := found.GetOffset(arguments[0], partition, sarama.OffsetOldest)
		if err != nil {
			return err
		}
		end, err := found.GetOffset(arguments[0], partition, sarama.OffsetNewest)
		if err != nil {
			return err
		}
		client.Print(partition, first, end)
	}
	return nil
}

func main() {
	client.Run("github.com/IBM/sarama", client.Actions{
		"create": create, "list": list, "describe": describe, "configs": configs, "grow": grow,
		"delete": remove, "produce": produce, "idempotent": idempotent, "consume": consume,
		"group": group, "offsets": offsets,
	})
}
