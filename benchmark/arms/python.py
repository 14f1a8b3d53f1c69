"""Python's own multiprocessing, with the orders and the clock of the other arms."""

import json
import multiprocessing
import os
import statistics
import sys
import threading
import time


def square(x):
    return x * x


def echo(data):
    return data


def whoami(_):
    return os.getpid()


def millis(begin):
    return (time.perf_counter() - begin) * 1000


def report(ms):
    print(json.dumps({"ms": ms}), flush=True)


def apply_async(pool, count, in_flight):
    """`in_flight` calls at any time: the result thread lets the next one in."""
    slots = threading.Semaphore(in_flight)
    done = lambda _: slots.release()
    for x in range(count):
        slots.acquire()
        pool.apply_async(square, (x,), callback=done, error_callback=done)
    for _ in range(in_flight):
        slots.acquire()


def imap_unordered(pool, count, _):
    for _ in pool.imap_unordered(square, range(count)):
        pass


def apply(order):
    run = imap_unordered if order.get("variant") == "imap_unordered" else apply_async
    with multiprocessing.get_context("fork").Pool(order["processes"]) as pool:
        run(pool, order["warmUp"], order["inFlight"])
        begin = time.perf_counter()
        run(pool, order["tasks"], order["inFlight"])
        report(millis(begin))


def map_(order):
    items = list(range(order["items"]))
    with multiprocessing.get_context("fork").Pool(order["processes"]) as pool:
        pool.map(square, items)
        begin = time.perf_counter()
        results = pool.map(square, items)
        ms = millis(begin)
        assert results[-1] == (order["items"] - 1) ** 2
        report(ms)


def take_trips(order, trip):
    """The median of the trips after those that warm up, as in trips.ts."""
    times = []
    for _ in range(order["warmUp"] + order["trips"]):
        begin = time.perf_counter()
        result = trip()
        times.append(millis(begin))
    report(statistics.median(times[order["warmUp"]:]))
    return result


def typed(order):
    """Lists of numbers: Python's arrays of doubles have no map."""
    items = list(range(order["numbers"]))
    with multiprocessing.get_context("fork").Pool(order["processes"]) as pool:
        results = take_trips(order, lambda: pool.map(square, items))
        assert results[-1] == (order["numbers"] - 1) ** 2


def payload(order):
    data = b"\xa5" * order["bytes"]
    with multiprocessing.get_context("fork").Pool(order["processes"]) as pool:
        assert take_trips(order, lambda: pool.apply(echo, (data,))) == data


def in_place(order):
    """As users write it: a list in, a list out."""
    typed(order)


def do_steps(order, cell, lock, gate, steps):
    if gate is not None:
        gate.wait()
    if order["step"] == "update":
        for _ in range(steps):
            with cell.get_lock():
                cell.value += 1
    else:
        for _ in range(steps):
            with lock:
                pass


def cell(order):
    context = multiprocessing.get_context("fork")
    number, lock = context.Value("i", 0), context.Lock()
    steps, processes = order["steps"], order["processes"]
    if processes == 1:
        do_steps(order, number, lock, None, steps // 10)
        begin = time.perf_counter()
        do_steps(order, number, lock, None, steps)
        return report(millis(begin))
    gate = context.Barrier(processes + 1)
    children = [
        context.Process(target=do_steps, args=(order, number, lock, gate, steps)) for _ in range(processes)
    ]
    for child in children:
        child.start()
    gate.wait()
    begin = time.perf_counter()
    for child in children:
        child.join()
    report(millis(begin))


def warm_up_of(count):
    """As in orders.ts."""
    return -(-count // 10)


def talk_of(order, end):
    """How a message is sent and received: as bytes, or pickled."""
    if order.get("variant") == "bytes":
        return end.send_bytes, end.recv_bytes
    return end.send, end.recv


def listen(order, end):
    send, receive = talk_of(order, end)
    answer = b"\xa5" * order["bytes"]
    for count in (warm_up_of(order["messages"]), order["messages"]):
        if order["pattern"] == "pingPong":
            for _ in range(count):
                receive()
                send(answer)
        else:
            for _ in range(count):
                message = receive()
            assert len(message) == order["bytes"]
            send(b"all")


def pipe(order):
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=listen, args=(order, there))
    child.start()
    there.close()
    send, receive = talk_of(order, here)
    message = b"\xa5" * order["bytes"]

    def talk(count):
        if order["pattern"] == "pingPong":
            for _ in range(count):
                send(message)
                receive()
        else:
            for _ in range(count):
                send(message)
            receive()

    talk(warm_up_of(order["messages"]))
    begin = time.perf_counter()
    talk(order["messages"])
    report(millis(begin))
    child.join()


def produce(order, items, gate):
    share = order["items"] // order["producers"]
    for count in (warm_up_of(share), share):
        gate.wait()
        for n in range(count):
            items.put(n)
        gate.wait()


def consume(order, items, gate):
    share = order["items"] // order["consumers"]
    for count in (warm_up_of(share), share):
        gate.wait()
        for _ in range(count):
            items.get()
        gate.wait()


def between_gates(gate, before, children):
    for child in children:
        child.start()
    for _ in range(before):
        gate.wait()
    begin = time.perf_counter()
    gate.wait()
    report(millis(begin))
    for child in children:
        child.join()


def queue(order):
    context = multiprocessing.get_context("fork")
    items = context.SimpleQueue() if order.get("variant") == "SimpleQueue" else context.Queue()
    producers, consumers = order["producers"], order["consumers"]
    gate = context.Barrier(producers + consumers + 1)
    targets = [produce] * producers + [consume] * consumers
    between_gates(gate, 3, [context.Process(target=target, args=(order, items, gate)) for target in targets])


def call_some(order, hosted, count):
    is_ref = order["object"] == "ref"
    for n in range(count):
        if is_ref:
            hosted.value
        else:
            hosted[n % 100] = n


def call_many(order, hosted, gate):
    lanes = order["lanes"]
    for count in (warm_up_of(order["calls"]), order["calls"]):
        if lanes == 1:
            call_some(order, hosted, count)
        else:
            args = (order, hosted, count // lanes)
            threads = [threading.Thread(target=call_some, args=args) for _ in range(lanes)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        gate.wait()


def manager(order):
    context = multiprocessing.get_context("fork")
    with context.Manager() as server:
        hosted = server.Value("i", 0) if order["object"] == "ref" else server.dict()
        gate = context.Barrier(order["clients"] + 1)
        clients = range(order["clients"])
        between_gates(gate, 1, [context.Process(target=call_many, args=(order, hosted, gate)) for _ in clients])


def start(order):
    workers = order["processes"]
    begin = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        seen = set()
        while True:
            seen.update(pool.map(whoami, range(workers), chunksize=1))
            if len(seen) >= workers:
                break
            time.sleep(0.001)
        report(millis(begin))


def answer(end):
    end.send(os.getpid())


def child(order):
    context = multiprocessing.get_context(order["variant"])
    times = []
    for _ in range(order["warmUp"] + order["trips"]):
        begin = time.perf_counter()
        here, there = context.Pipe()
        one = context.Process(target=answer, args=(there,))
        one.start()
        here.recv()
        one.join()
        times.append(millis(begin))
    report(statistics.median(times[order["warmUp"]:]))


if __name__ == "__main__":
    order = json.loads(sys.argv[1])
    works = {
        "apply": apply,
        "map": map_,
        "typed": typed,
        "payload": payload,
        "start": start,
        "child": child,
        "inPlace": in_place,
        "cell": cell,
        "pipe": pipe,
        "queue": queue,
        "manager": manager,
    }
    works[order["work"]](order)
