"""A topic of Kafka for scripts/bench, run by the interpreter that has a client of Kafka's: librdkafka's mock cluster, whose brokers
are real ones as far as others can see, and who writes to it.

Says where the brokers are. For each number it reads, writes so many messages, waits until a consumer group has committed them
all, and says how long both took."""

import json
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition

TOPIC, GROUP = "bench", "bench"
# The mock makes a topic of so many.
PARTITIONS = 4
# Between two looks at what is committed.
LOOK_EVERY_S = 0.005
PATIENCE_S = 300


def main():
    producer = Producer({"test.mock.num.brokers": 1, "log_level": 0, "linger.ms": 1, "queue.buffering.max.messages": 1_000_000})
    broker = next(iter(producer.list_topics(timeout=10).brokers.values()))
    servers = f"{broker.host}:{broker.port}"
    producer.list_topics(TOPIC, timeout=10)
    consumer = Consumer({"bootstrap.servers": servers, "group.id": GROUP})
    say({"servers": servers, "topic": TOPIC, "group": GROUP})
    written = [0] * PARTITIONS
    for line in sys.stdin:
        say(measure(producer, consumer, written, int(line)))


def measure(producer, consumer, written, count):
    """How long it takes from the first message until all are committed."""
    began = time.perf_counter()
    for number in range(count):
        partition = number % PARTITIONS
        producer.produce(TOPIC, json.dumps({"key": number}), key=str(number), partition=partition)
        written[partition] += 1
        producer.poll(0)
    producer.flush(60)
    wrote = time.perf_counter()
    while committed(consumer) != written:
        if time.perf_counter() > wrote + PATIENCE_S:
            sys.exit(f"{committed(consumer)} of {written} are committed")
        time.sleep(LOOK_EVERY_S)
    return {"took_s": time.perf_counter() - began, "written_s": wrote - began}


def committed(consumer):
    asked = [TopicPartition(TOPIC, partition) for partition in range(PARTITIONS)]
    return [max(0, found.offset) for found in consumer.committed(asked, timeout=10)]


def say(value):
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    main()
