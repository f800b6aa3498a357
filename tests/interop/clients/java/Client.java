import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

/** Kafka's own clients: PROGRAM ADDRESS ACTION [ARGUMENT]...; ../records.py says what a line is. */
public class Client {
    private static final PrintStream out =
            new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), false);
    private final String address;

    private Client(String address) {
        this.address = address;
    }

    public static void main(String[] arguments) throws Exception {
        Client client = new Client(arguments[0]);
        String[] rest = Arrays.copyOfRange(arguments, 2, arguments.length);
        switch (arguments[1]) {
            case "version" -> out.println(AppInfoParser.getVersion());
            case "create" -> client.create(rest[0], Integer.parseInt(rest[1]));
            case "list" -> client.list();
            case "describe" -> client.describe(rest[0]);
            case "configs" -> client.configs(rest[0], rest[1]);
            case "grow" -> client.grow(rest[0], Integer.parseInt(rest[1]));
            case "delete" -> client.delete(rest[0]);
            case "produce" -> client.produce(rest[0], rest[1], false);
            case "idempotent" -> client.produce(rest[0], rest[1], true);
            case "consume" -> client.consume(rest);
            case "transactions" -> client.transactions(rest[0], Integer.parseInt(rest[1]));
            case "committed" -> client.committed(rest);
            case "group" -> client.group(rest[0], rest[1]);
            case "offsets" -> client.offsets(rest[0]);
            case "trim" -> client.trim(rest[0], Long.parseLong(rest[1]));
            default -> {
                System.err.println("the library has nothing for it");
                System.exit(3);
            }
        }
        out.flush();
    }

    private Admin admin() {
        return Admin.create(Map.of("bootstrap.servers", address));
    }

    private void create(String topic, int partitions) throws Exception {
        try (Admin admin = admin()) {
            admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all().get();
        }
    }

    private void list() throws Exception {
        try (Admin admin = admin()) {
            admin.listTopics().names().get().forEach(out::println);
        }
    }

    /** Deletes the records of each partition below an offset. */
    private void trim(String topic, long before) throws Exception {
        try (Admin admin = admin()) {
            var below = new java.util.HashMap<TopicPartition, RecordsToDelete>();
            for (TopicPartitionInfo partition : partitions(admin, topic)) {
                below.put(new TopicPartition(topic, partition.partition()),
                        RecordsToDelete.beforeOffset(before));
            }
            admin.deleteRecords(below).all().get();
        }
    }

    private static String ids(List<Node> nodes) {
        return nodes.stream().map(Node::idString).collect(Collectors.joining(","));
    }

    private List<TopicPartitionInfo> partitions(Admin admin, String topic) throws Exception {
        return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions();
    }

    private void describe(String topic) throws Exception {
        try (Admin admin = admin()) {
            for (TopicPartitionInfo partition : partitions(admin, topic)) {
                out.println(partition.partition() + " " + partition.leader().idString() + " "
                        + ids(partition.replicas()) + " " + ids(partition.isr()));
            }
        }
    }

    private void configs(String kind, String name) throws Exception {
        var type = ConfigResource.Type.valueOf(kind.toUpperCase());
        var resource = new ConfigResource(type, name);
        try (Admin admin = admin()) {
            var found = admin.describeConfigs(List.of(resource)).all().get().get(resource);
            for (ConfigEntry entry : found.entries()) {
                out.println(entry.name() + "=" + entry.value());
            }
        }
    }

    private void grow(String topic, int count) throws Exception {
        try (Admin admin = admin()) {
            admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(count))).all().get();
        }
    }

    private void delete(String topic) throws Exception {
        try (Admin admin = admin()) {
            admin.deleteTopics(List.of(topic)).all().get();
        }
    }

    private void produce(String topic, String codec, boolean idempotent) throws Exception {
        var settings = Map.<String, Object>of("bootstrap.servers", address, "acks", "all",
                "compression.type", codec, "enable.idempotence", idempotent, "linger.ms", 20);
        var serializer = new ByteArraySerializer();
        try (var producer = new KafkaProducer<>(settings, serializer, serializer)) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            var lines = new BufferedReader(new InputStreamReader(System.in));
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                sent.add(producer.send(parse(topic, line.split(" "))));
            }
            for (Future<RecordMetadata> one : sent) {
                one.get();
            }
        }
    }

    private KafkaConsumer<byte[], byte[]> consumer(Map<String, Object> more) {
        var settings = new TreeMap<>(more);
        settings.put("bootstrap.servers", address);
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", false);
        var deserializer = new ByteArrayDeserializer();
        return new KafkaConsumer<>(settings, deserializer, deserializer);
    }

    private static List<TopicPartition> partitions(KafkaConsumer<?, ?> consumer, String topic) {
        return consumer.partitionsFor(topic).stream()
                .map(info -> new TopicPartition(topic, info.partition())).toList();
    }

    private static long total(KafkaConsumer<?, ?> consumer, Collection<TopicPartition> parts) {
        return consumer.endOffsets(parts).values().stream().mapToLong(Long::longValue).sum();
    }

    private static void readOn(KafkaConsumer<byte[], byte[]> consumer, long left) {
        while (left > 0) {
            for (var message : consumer.poll(Duration.ofSeconds(1))) {
                print(message);
                left--;
            }
        }
    }

    private void consume(String[] topics) {
        try (var consumer = consumer(Map.of())) {
            List<TopicPartition> parts = new ArrayList<>();
            for (String topic : topics) {
                parts.addAll(partitions(consumer, topic));
            }
            consumer.assign(parts);
            consumer.seekToBeginning(parts);
            readOn(consumer, total(consumer, parts));
        }
    }

    /** Every other transaction is aborted; each has a record for each of the topic's partitions. */
    private void transactions(String topic, int count) throws Exception {
        var settings = Map.<String, Object>of("bootstrap.servers", address, "transactional.id",
                "transactions of " + topic);
        var serializer = new ByteArraySerializer();
        try (Admin admin = admin();
                var producer = new KafkaProducer<>(settings, serializer, serializer)) {
            int partitions = partitions(admin, topic).size();
            producer.initTransactions();
            for (int i = 0; i < count; i++) {
                byte[] value = (i % 2 == 0 ? "committed " + i : "aborted " + i).getBytes();
                producer.beginTransaction();
                for (int part = 0; part < partitions; part++) {
                    producer.send(new ProducerRecord<>(topic, part, null, value));
                }
                producer.flush();
                if (i % 2 == 0) {
                    producer.commitTransaction();
                } else {
                    producer.abortTransaction();
                }
            }
        }
    }

    /** What a reader of committed records sees, up to the last stable offset. */
    private void committed(String[] topics) {
        try (var consumer = consumer(Map.of("isolation.level", "read_committed"))) {
            List<TopicPartition> parts = new ArrayList<>();
            for (String topic : topics) {
                parts.addAll(partitions(consumer, topic));
            }
            consumer.assign(parts);
            consumer.seekToBeginning(parts);
            var ends = consumer.endOffsets(parts);
            while (parts.stream().anyMatch(part -> consumer.position(part) < ends.get(part))) {
                consumer.poll(Duration.ofSeconds(1)).forEach(Client::print);
            }
        }
    }

    private void group(String name, String topic) {
        try (var consumer = consumer(Map.of("group.id", name))) {
            long left = total(consumer, partitions(consumer, topic));
            consumer.subscribe(Set.of(topic));
            readOn(consumer, left);
            consumer.commitSync();
        }
    }

    private void offsets(String topic) {
        try (var consumer = consumer(Map.of())) {
            List<TopicPartition> parts = new ArrayList<>(partitions(consumer, topic));
            parts.sort((a, b) -> a.partition() - b.partition());
            Map<TopicPartition, Long> first = consumer.beginningOffsets(parts);
            Map<TopicPartition, Long> end = consumer.endOffsets(parts);
            for (TopicPartition part : parts) {
                out.println(part.partition() + " " + first.get(part) + " " + end.get(part));
            }
        }
    }

    private static byte[] bytes(String text) {
        return switch (text) {
            case "-" -> null;
            case "." -> new byte[0];
            default -> HexFormat.of().parseHex(text);
        };
    }

    private static String text(byte[] data) {
        if (data == null) {
            return "-";
        }
        return data.length == 0 ? "." : HexFormat.of().formatHex(data);
    }

    private static ProducerRecord<byte[], byte[]> parse(String topic, String[] fields) {
        List<Header> headers = new ArrayList<>();
        if (!fields[4].equals("-")) {
            for (String pair : fields[4].split(",")) {
                String[] words = pair.split(":");
                String name = new String(bytes(words[0]), StandardCharsets.UTF_8);
                headers.add(new RecordHeader(name, bytes(words[1])));
            }
        }
        return new ProducerRecord<>(topic, Integer.valueOf(fields[0]), Long.valueOf(fields[1]),
                bytes(fields[2]), bytes(fields[3]), headers);
    }

    private static void print(ConsumerRecord<byte[], byte[]> message) {
        List<String> pairs = new ArrayList<>();
        for (Header header : message.headers()) {
            pairs.add(text(header.key().getBytes(StandardCharsets.UTF_8)) + ":"
                    + text(header.value()));
        }
        out.println(message.topic() + " " + message.partition() + " " + message.offset() + " "
                + message.timestamp() + " " + text(message.key()) + " " + text(message.value())
                + " " + (pairs.isEmpty() ? "-" : String.join(",", pairs)));
    }
}
