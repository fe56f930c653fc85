"""What is promised of triggers on Kafka topics: messages from the producer's first to the last one's commit, through a function in
Python. The brokers are librdkafka's mock cluster, in a process of its own on the same processors."""

import contextlib
import json
import subprocess
from statistics import median

from cloud import Signed
from figure import Figure, Row
from peers import HERE, VENV, Missing
from process import ENVIRONMENT

WHAT = "messages of a Kafka topic in batches of 100, end to end"
MESSAGES = 50_000
BATCH = 100
AT_LEAST_PER_S = 5000


def kafka(bench):
    try:
        topic = Topic()
    except Missing as missing:
        yield Row.missing(WHAT, missing, unit="/s", at_least=AT_LEAST_PER_S)
        return
    count = MESSAGES // 10 if bench.quick else MESSAGES
    with topic, bench.server("kafka.db", "--kafka-brokers", topic.servers) as server:
        server.function("hello")
        follow(server, topic)
        topic.measure(BATCH)  # the trigger is consuming
        runs = [topic.measure(count) for _ in range(bench.rounds)]
    yield Row(WHAT, [
        Figure("", median(count / run["took_s"] for run in runs), "/s", at_least=AT_LEAST_PER_S),
        Figure("written", median(count / run["written_s"] for run in runs), "/s"),
    ], runs)


def follow(server, topic):
    """Has the topic trigger the function."""
    signed = Signed(server)
    desc = {"maxMsgNum": BATCH, "offset": "earliest", "topic": topic.topic, "consumerGroupName": topic.group}
    with contextlib.closing(signed.connection):
        signed.call("CreateTrigger", FunctionName="hello", TriggerName="bench", Type="ckafka", TriggerDesc=json.dumps(desc))


class Topic:
    """The process of `topic.py`."""

    def __init__(self):
        python = VENV / "python"
        if not python.exists() or subprocess.run([python, "-c", "import confluent_kafka"], capture_output=True,
                                                 check=False).returncode:
            raise Missing("confluent-kafka is not installed")
        self.process = subprocess.Popen([python, "-B", HERE / "topic.py"], env=ENVIRONMENT, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        said = self.read()
        self.servers, self.topic, self.group = said["servers"], said["topic"], said["group"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the topic's process has ended")
        return json.loads(line)

    def measure(self, count):
        """How long writing so many took, and until all are committed."""
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        return self.read()
