# Written by cloudscale. Run it with: locust -f SCRIPT --headless [--host http://…]; with --master and --worker on several machines.
#
# The master leads: it opens each phase of each chain (a flow against a target) and waits until every worker has done its
# part. Workers divide users and arrivals among them by their index. A user that has nothing to do waits.
import collections
import itertools
import json
import math
import os
import random
import re
import ssl
import sys
import time

import gevent
from gevent.event import AsyncResult, Event
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError
from locust import FastHttpUser, events, task
from locust.exception import StopUser
from locust.runners import LocalRunner, MasterRunner, WorkerRunner

SPEC = json.loads(__SPEC__)
TARGETS = SPEC.get("targets") or [os.environ.get("BASE_URL", SPEC["base"]).rstrip("/")]
CHAINS = [(target, flow) for target in range(len(TARGETS)) for flow in SPEC["flows"]]
# An arrival that is taken so long after it was due found no user free.
LATE = 0.01


def wanted(phase):
    """Users of a phase. A rate needs as many as have a request under way: it holds while answers take less than a second."""
    if phase["kind"] == "open":
        return min(SPEC["connections"], max(math.ceil(phase["peak"]), 1))
    if phase["kind"] == "ramping":
        return round(max(max(start, end) for _, start, end in phase["segments"]))
    return phase.get("users") or 1


def places(workers):
    """The chain of each user of a worker."""
    most = [max(map(wanted, flow["phases"])) for _, flow in CHAINS]
    return [chain for chain, users in enumerate(most) for _ in range(-(-users // workers))]


def filled(text, row):
    if row is None:
        return text
    return re.sub(r"\$\{csv\.([^}]*)\}", lambda found: row[SPEC["data"]["columns"].index(found[1])], text)


def due_times(phase, worker, workers, pace):
    """When this worker's arrivals are due, in seconds since the start of the phase: the inverse of the rate's integral."""
    chance = None if phase["poisson"] is None else random.Random(f"{phase['poisson']} {worker}")

    def gap():
        mean = workers / pace["share"]
        return mean if chance is None else chance.expovariate(1 / mean)

    start = before = 0.0
    number = worker if chance is None else gap()
    for seconds, low, high in phase["segments"]:
        requests = seconds * (low + high) / 2
        slope = (high - low) / seconds
        while number < before + requests - 5e-4:
            rest = number - before
            root = math.sqrt(max(low * low + 2 * slope * rest, 0.0))
            yield start + (min(2 * rest / (low + root), seconds) if rest > 0 else 0.0)
            number += gap()
        start, before = start + seconds, before + requests


def joins(phase, number, at):
    """When a user of that number is next there, in seconds since the start of a phase; None where that never comes."""
    start = 0.0
    for seconds, low, high in phase["segments"]:
        if at < start + seconds:
            slope, since = (high - low) / seconds, max(start, at)
            # Half a thousandth: a line that ends at 10 has been at 10.
            level = number + 1 - 5e-4
            if low + slope * (since - start) >= level:
                return since
            if high >= level:
                return start + (level - low) / slope
        start += seconds
    return None


def sleep_until(moment):
    left = moment - time.time()
    if left > 0:
        gevent.sleep(left)


class Worker:
    """This worker's part of the load."""

    def __init__(self):
        self.users = self.index = 0
        self.begun = AsyncResult()
        self.opened = collections.defaultdict(AsyncResult)
        self.shared = {}
        self.left = {}
        # What somebody makes of the schedule by hand.
        self.pace = {"share": 1.0, "paused": False}

    def begin(self, environment, msg, **_):
        self.environment, self.workers, self.start = environment, msg.data["workers"], msg.data["start"]
        self.index = max(getattr(environment.runner, "worker_index", 0), 0)
        self.places = places(self.workers)[: self.users]
        self.turns = [itertools.count(self.index, self.workers) for _ in CHAINS]
        RECORD.begin(self.start)
        self.begun.set(True)

    def open(self, environment, msg, **_):
        chain, index = at = (msg.data["chain"], msg.data["index"])
        phase = phase_of(chain, index)
        if phase["kind"] == "open":
            self.shared[at] = due_times(phase, self.index, self.workers, self.pace)
        elif phase.get("iterations"):
            users = range(self.index, phase["users"], self.workers)
            share, rest = divmod(phase["iterations"], phase["users"])
            self.shared[at] = iter(range(sum(share + (user < rest) for user in users)))
        self.left[at] = self.places.count(chain)
        self.opened[at].set(msg.data["at"])
        if not self.left[at]:
            self.done(at)

    def done(self, at):
        if self.left[at] <= 0:
            self.environment.runner.send_message("done", {"chain": at[0], "index": at[1]})

    def change_pace(self, environment, msg, **_):
        self.pace.update(msg.data)

    def over(self, environment, **_):
        RECORD.hand_over(environment.runner, last=True)


WORKER = Worker()


def phase_of(chain, index):
    phases = CHAINS[chain][1]["phases"]
    return phases[index % len(phases)]


class Visitor(FastHttpUser):
    host = TARGETS[0]
    insecure = False
    # From one piece of an answer to the next.
    network_timeout = connection_timeout = max(request["timeout"] for request in SPEC["requests"])
    max_redirects = max(SPEC["redirects"], 1)

    def __init__(self, environment):
        super().__init__(environment)
        # Load balancers keep whom they know by a cookie: every request is a stranger's.
        self.client.client.cookiejar = None
        self.place, WORKER.users = WORKER.users, WORKER.users + 1

    @task
    def visit(self):
        WORKER.begun.get()
        if self.place < len(WORKER.places):
            chain = WORKER.places[self.place]
            self.number = WORKER.places[: self.place].count(chain) * WORKER.workers + WORKER.index
            for index in range(len(CHAINS[chain][1]["phases"]) * SPEC["repeat"]):
                phase, at = phase_of(chain, index), (chain, index)
                if phase["kind"] == "pause":
                    continue
                began = WORKER.opened[at].get()
                sleep_until(began)
                if phase["kind"] == "open":
                    self.take_arrivals(at, began, phase)
                elif self.number < wanted(phase):
                    self.take_turns(at, began, phase)
                WORKER.left[at] -= 1
                WORKER.done(at)
        raise StopUser()

    def take_arrivals(self, at, began, phase):
        for due in WORKER.shared[at]:
            late = time.time() - began - due
            if late > phase["duration"] - due:
                # The phase is over: what was not sent is missing from what was demanded.
                return
            if late > LATE:
                RECORD.waited += 1
            sleep_until(began + due)
            if not WORKER.pace["paused"]:
                self.send(at, began + due)

    def take_turns(self, at, began, phase):
        budget = WORKER.shared.get(at)
        while True:
            since = time.time() - began
            if phase["duration"] is not None and since >= phase["duration"]:
                return
            if phase["kind"] == "ramping":
                there = joins(phase, self.number, since)
                if there is None:
                    return
                if there > since:
                    sleep_until(began + there)
                    continue
            if WORKER.pace["paused"]:
                gevent.sleep(0.1)
                continue
            if budget is not None and next(budget, None) is None:
                return
            self.send(at, None)
            if phase["think"]:
                gevent.sleep(phase["think"])

    def send(self, at, due):
        target = CHAINS[at[0]][0]
        endpoint, request = 0, SPEC["requests"][0]
        if len(SPEC["requests"]) > 1:
            endpoint = random.choices(range(len(SPEC["requests"])), [one["weight"] for one in SPEC["requests"]])[0]
            request = SPEC["requests"][endpoint]
        row = None
        if SPEC["data"]:
            rows = SPEC["data"]["rows"]
            row = rows[next(WORKER.turns[at[0]]) % len(rows)]
        headers = {"Accept-Encoding": "identity"}
        headers.update((name, filled(value, row)) for name, value in request["headers"])
        if not SPEC["keep_alive"]:
            headers["Connection"] = "close"
        with self.client.request(
            request["method"], TARGETS[target] + filled(request["path"], row), name=request["name"] or request["path"] or "/",
            headers=headers, data=filled(request["body"], row).encode() if request["body"] else None,
            allow_redirects=SPEC["redirects"] > 0, catch_response=True,
            context={"at": at, "target": target, "endpoint": endpoint, "due": due},
        ) as answer:
            contains = request["contains"]
            if not answer.status_code:
                answer.failure(answer.error or "no answer")
            elif answer.status_code != request["status"]:
                answer.failure("status")
            elif contains and contains.encode() not in (answer.content or b""):
                answer.failure("body")
            else:
                answer.success()


class Record:
    """What a worker counts of Locust's own measurements, for cloudscale: cells of (row, endpoint, phase)."""

    def __init__(self):
        self.cells, self.waited, self.start = {}, 0, 0.0
        self.then = (time.perf_counter(), time.process_time())

    def begin(self, start):
        self.start = start
        self.then = (time.perf_counter(), time.process_time())

    def add(self, response_time, response, context, exception, start_time):
        due, service = context["due"], response_time / 1000
        sent, ended = start_time - self.start, start_time - self.start + service
        chain, index = context["at"]
        # Flows of one target are numbered one after the other, and again in each repetition.
        flow, phases = chain % len(SPEC["flows"]), [len(flow["phases"]) for flow in SPEC["flows"]]
        lap, phase = divmod(index, phases[flow])
        number = lap * sum(phases) + sum(phases[:flow]) + phase
        warm_up = (sent if due is None else due - self.start) < SPEC["record"]["warm_up"]
        key = (
            max(int(ended / SPEC["record"]["row"]), 0),
            context["target"] * SPEC["record"]["endpoints"] + context["endpoint"], number, warm_up,
        )
        cell = self.cells.get(key)
        if cell is None:
            cell = self.cells[key] = {name: collections.Counter() for name in ("failures", "status", "instances", "response", "service", "wrong", "lateness")}
            cell["requests"] = 0
        cell["requests"] += 1
        status = getattr(response, "status_code", 0)
        if status:
            cell["status"][status] += 1
            instance = instance_of(response)
            if instance:
                cell["instances"][instance] += 1
        response_time = service if due is None else max(ended + self.start - due, 0.0)
        if due is not None:
            cell["lateness"][rounded(max(start_time - due, 0.0))] += 1
        if exception is None:
            cell["service"][rounded(service)] += 1
            if due is not None:
                cell["response"][rounded(response_time)] += 1
        else:
            cell["failures"][kind_of(exception)] += 1
            if status:
                cell["wrong"][rounded(response_time)] += 1

    def hand_over(self, runner, last=False):
        now, cells = (time.perf_counter(), time.process_time()), self.cells
        elapsed, cpu = (now[0] - self.then[0], now[1] - self.then[1])
        waited, self.cells, self.waited, self.then = self.waited, {}, 0, now
        lists = [
            [*key, {name: list(part.items()) if isinstance(part, collections.Counter) else part for name, part in cell.items()}]
            for key, cell in cells.items()
        ]
        runner.send_message("counted", {
            "worker": WORKER.index, "cells": lists, "elapsed": elapsed, "cpu": cpu, "waited": waited, "last": last,
        })


RECORD = Record()


def rounded(seconds):
    """Nanoseconds in four significant digits: within 0.05 %, as the histogram they come into has three."""
    microseconds = round(seconds * 1e6)
    step = 10 ** max(len(str(microseconds)) - 4, 0)
    return (microseconds // step * step + step // 2) * 1000


def instance_of(response):
    name = (response.headers or {}).get("x-instance-id")
    if name is None:
        found = re.search(rb"(?<![0-9A-Za-z])i-(?:[0-9a-f]{17}|[0-9a-f]{8})(?![0-9a-f])", response.content or b"", re.IGNORECASE)
        name = found and found[0].decode()
    return name and str(name)[:128]


def kind_of(exception):
    """The failure's name in a record."""
    if str(exception) in ("status", "body"):
        return str(exception)
    chain = [exception]
    while chain[-1].__cause__ or chain[-1].__context__:
        chain.append(chain[-1].__cause__ or chain[-1].__context__)
    for error in chain:
        if isinstance(error, (ssl.SSLError, ssl.CertificateError)) and "timed out" not in str(error):
            return "tls"
        if isinstance(error, (TimeoutError, gevent.Timeout)) or "timed out" in str(error):
            return "timeout"
        if isinstance(error, HTTPParseError):
            return "reset" if isinstance(error, HTTPConnectionClosed) else "protocol"
        if isinstance(error, OSError) and error.errno in (24, 99):  # EMFILE, EADDRNOTAVAIL
            return "exhausted"
        if isinstance(error, ConnectionRefusedError) or type(error).__name__ == "gaierror":
            return "connect"
    return "reset"


def tell(**line):
    """A line for cloudscale, which reads the master's standard output."""
    if SPEC.get("record"):
        sys.stdout.write(json.dumps({"cloudscale": line}) + "\n")
        sys.stdout.flush()


class Master:
    """Opens the phases one after the other, when they are due or when all workers are done with the one before."""

    def __init__(self, environment):
        self.environment, self.reports, self.reported = environment, collections.defaultdict(set), Event()
        self.finished, self.begun, self.ended = set(), False, False

    def workers(self):
        runner = self.environment.runner
        if isinstance(runner, MasterRunner):
            return {client.id for client in runner.clients.all if client.state in ("ready", "spawning", "running")}
        return {"local"}

    def done(self, environment, msg, **_):
        self.reports[msg.data["chain"], msg.data["index"]].add(msg.node_id)
        self.reported.set()

    def counted(self, environment, msg, **_):
        tell(counted=msg.data)
        if msg.data["last"]:
            self.finished.add(msg.node_id)
            self.reported.set()

    def wait_for(self, reports):
        """Until all workers that are left have reported; one that is lost says nothing more."""
        while not self.workers() <= reports:
            self.reported.clear()
            self.reported.wait(0.5)

    def begin(self, user_count, **_):
        if not self.begun:
            self.begun = True
            gevent.spawn(self.conduct)

    def conduct(self):
        runner = self.environment.runner
        # Locust waits a second for its workers' users, and then goes on without.
        with gevent.Timeout(60, False):
            while isinstance(runner, MasterRunner) and runner.user_count < runner.target_user_count:
                gevent.sleep(0.02)
        crew = self.workers()
        start = time.time() + 0.1
        runner.send_message("begin", {"workers": len(crew), "start": start})
        tell(begun={"within": start - time.time(), "workers": len(crew)})
        moments = [start for _ in CHAINS]
        for lap in range(SPEC["repeat"]):
            chains = [gevent.spawn(self.chain, number, lap, start, moments[number]) for number in range(len(CHAINS))]
            gevent.joinall(chains, raise_error=True)
            moments = [max(chain.value for chain in chains)] * len(CHAINS)
        for number, (_, flow) in enumerate(CHAINS):
            sending = [index for index in range(len(flow["phases"]) * SPEC["repeat"]) if phase_of(number, index)["kind"] != "pause"]
            if sending:
                self.wait_for(self.reports[number, sending[-1]])
        self.end(len(crew - self.workers()))

    def chain(self, number, lap, start, began):
        runner, (target, flow) = self.environment.runner, CHAINS[number]
        for position, phase in enumerate(flow["phases"]):
            index = lap * len(flow["phases"]) + position
            if self.ended:
                break
            sleep_until(began - 0.05)
            tell(phase={"chain": number, "index": index, "began": began - start, "ended": None})
            if phase["kind"] != "pause":
                runner.send_message("open", {"chain": number, "index": index, "at": began})
            if phase["kind"] in ("pause", "open"):
                ended = began + phase["duration"]
                # What is still under way goes on beside the next phase.
                sleep_until(ended - 0.05)
            else:
                self.wait_for(self.reports[number, index])
                ended = time.time()
            tell(phase={"chain": number, "index": index, "began": began - start, "ended": ended - start})
            began = ended
        sleep_until(began)
        return began

    def end(self, lost=0):
        if self.ended:
            return
        self.ended, runner = True, self.environment.runner
        if SPEC.get("record"):
            runner.send_message("over", {})
            with gevent.Timeout(5, False):
                self.wait_for(self.finished)
        tell(over={"lost": lost})
        runner.quit()

    def quit(self, **_):
        """Locust has had its workers' last statistics by now."""
        total = self.environment.stats.total
        tell(total={"requests": total.num_requests, "failures": total.num_failures})


def follow_parent(environment):
    """Does what cloudscale writes to the standard input, and ends with it: it holds the other end."""
    def follow():
        while True:
            words = gevent.get_hub().threadpool.apply(sys.stdin.readline).split()
            if not words:
                os._exit(0)
            if words[0] == "pace":
                pace = {"share": int(words[1]) / 100, "paused": words[2] == "true"}
                environment.runner.send_message("change_pace", pace)
            elif words[0] == "end":
                environment.cloudscale.end()
    gevent.spawn(follow)


@events.init.add_listener
def prepare(environment, runner, **_):
    options = environment.parsed_options
    if isinstance(runner, (LocalRunner, WorkerRunner)):
        for name in ("begin", "open", "change_pace", "over"):
            runner.register_message(name, getattr(WORKER, name))
        if SPEC.get("record"):
            events.request.add_listener(
                lambda response_time, response, context, exception, start_time, **_: RECORD.add(
                    response_time, response, context, exception, start_time))

            def hand_over():
                while True:
                    gevent.sleep(0.5)
                    if WORKER.begun.ready():
                        RECORD.hand_over(runner)
            gevent.spawn(hand_over)
    if isinstance(runner, (LocalRunner, MasterRunner)):
        master = environment.cloudscale = Master(environment)
        for name in ("done", "counted"):
            runner.register_message(name, getattr(master, name))
        environment.events.spawning_complete.add_listener(master.begin)
        environment.events.quit.add_listener(master.quit)
        workers = options.expect_workers if isinstance(runner, MasterRunner) else 1
        options.num_users = options.num_users or workers * len(places(workers))
        options.spawn_rate = options.spawn_rate or options.num_users
        if isinstance(runner, MasterRunner):
            tell(listening=runner.server.port)
    if os.environ.get("CLOUDSCALE_PARENT"):
        follow_parent(environment)
