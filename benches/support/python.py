"""Python's multiprocessing, as its users write it: a parent that asks, peers that send and receive.

Each line of input is `messages`; each line of output the nanoseconds that they took (of round trips: all their
nanoseconds). Arguments: queue|pipe stream|trips BYTES TOUCH REST_NANOS CPU_OF_FIRST CPU_OF_SECOND.
"""
import array
import multiprocessing
import os
import sys
import time


def place(cpu):
    if cpu >= 0:
        os.sched_setaffinity(0, {cpu})


def content(number, length):
    return array.array("Q", range(number, number + length // 8)).tobytes()


class Queue:
    def __init__(self, context):
        self.queue = context.Queue(1024)
        self.send, self.recv = self.queue.put, self.queue.get


class Pipe:
    def __init__(self, context):
        self.rx, self.tx = context.Pipe(duplex=False)
        self.send, self.recv = self.tx.send_bytes, self.rx.recv_bytes


def send_all(kind, tasks, told, cpu):
    place(cpu)
    number = 0
    while (count := tasks.recv()) is not None:
        begin = time.monotonic_ns()
        for _ in range(count):
            kind.send(content(number, LENGTH))
            number += 1
        told.send(begin)


def receive_all(kind, tasks, told, cpu):
    place(cpu)
    number = 0
    while (count := tasks.recv()) is not None:
        for _ in range(count):
            message = kind.recv()
            words = memoryview(message).cast("Q")
            assert words[0] == number and len(message) == LENGTH, "order and length"
            if TOUCH:
                n = LENGTH // 8
                assert sum(words) == n * number + n * (n - 1) // 2, "content"
            number += 1
        told.send(time.monotonic_ns())


def call(there, back, tasks, told, cpu):
    place(cpu)
    number = 0
    while (count := tasks.recv()) is not None:
        times = []
        for _ in range(count):
            message = content(number, LENGTH)
            if REST:
                time.sleep(REST)
            begin = time.monotonic_ns()
            there.send(message)
            answer = back.recv()
            times.append(time.monotonic_ns() - begin)
            assert answer == message, "content"
            number += 1
        told.send(times)


def answer(there, back, tasks, told, cpu):
    place(cpu)
    while (count := tasks.recv()) is not None:
        for _ in range(count):
            back.send(there.recv())
        told.send(None)


if __name__ == "__main__":
    kind, what, LENGTH, TOUCH, REST = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
    REST /= 1e9
    cpus = list(map(int, sys.argv[6:8]))
    context = multiprocessing.get_context("fork")
    make = {"queue": Queue, "pipe": Pipe}[kind]
    if what == "stream":
        shared = make(context)
        roles = [(send_all, (shared,)), (receive_all, (shared,))]
    else:
        shared = (make(context), make(context))
        roles = [(call, shared), (answer, shared)]
    peers = []
    for (role, ends), cpu in zip(roles, cpus):
        (task_rx, task_tx), (told_rx, told_tx) = context.Pipe(False), context.Pipe(False)
        process = context.Process(target=role, args=(*ends, task_rx, told_tx, cpu), daemon=True)
        process.start()
        peers.append((process, task_tx, told_rx))
    for line in sys.stdin:
        for _, tasks, _ in peers:
            tasks.send(int(line))
        first, second = [told.recv() for _, _, told in peers]
        print(second - first if what == "stream" else " ".join(map(str, first)), flush=True)
    for process, tasks, _ in peers:
        tasks.send(None)
    for process, _, _ in peers:
        process.join()
        assert process.exitcode == 0
