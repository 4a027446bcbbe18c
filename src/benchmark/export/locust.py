# Written by `cloudscale export locust`. Run it with: locust -f SCRIPT --headless [--host http://…]
import itertools
import json
import os
import random
import re
import time

from locust import HttpUser, LoadTestShape, events, task
from locust.exception import StopUser

SPEC = json.loads(__SPEC__)
SHAPED = any(phase["kind"] != "pause" and not phase.get("iterations") for flow in SPEC["flows"] for phase in flow["phases"])
ROWS = itertools.cycle(SPEC["data"]["rows"]) if SPEC["data"] else None
NOW = {"open": False, "think": 0.0}


def filled(text, row):
    if row is None:
        return text
    return re.sub(r"\$\{csv\.([^}]*)\}", lambda found: row[SPEC["data"]["columns"].index(found[1])], text)


class Sender(HttpUser):
    abstract = True
    host = os.environ.get("BASE_URL", SPEC["base"]).rstrip("/")

    def send(self):
        request = random.choices(SPEC["requests"], [one["weight"] for one in SPEC["requests"]])[0]
        row = next(ROWS) if ROWS else None
        headers = {name: filled(value, row) for name, value in request["headers"]}
        if not SPEC["keep_alive"]:
            headers["Connection"] = "close"
        body = filled(request["body"], row).encode() if request["body"] else None
        self.client.max_redirects = max(SPEC["redirects"], 1)
        with self.client.request(
            request["method"], filled(request["path"], row), name=request["name"] or request["path"] or "/", headers=headers,
            data=body, timeout=request["timeout"], allow_redirects=SPEC["redirects"] > 0, catch_response=True,
        ) as answer:
            contains = request["contains"]
            if answer.status_code != request["status"]:
                answer.failure(f"status {answer.status_code}")
            elif contains and contains not in (answer.text or ""):
                answer.failure("body")
            else:
                answer.success()


if SHAPED:

    class Visitor(Sender):
        # Locust's users wait for their answers. A rate is made of users that send once a second each: it is reached
        # while answers take less than a second.
        def wait_time(self):
            if not NOW["open"]:
                return NOW["think"]
            now = time.time()
            self.due = max(getattr(self, "due", now) + 1.0, now)
            return self.due - now

        @task
        def visit(self):
            self.send()

    class Schedule(LoadTestShape):
        """The phases of the first flow, one after the other, as a number of users over time."""

        def tick(self):
            at = self.get_run_time()
            for phase in SPEC["flows"][0]["phases"]:
                length = phase["duration"] or 0.0
                if at < length:
                    return self.users(phase, at)
                at -= length
            return None

        def users(self, phase, at):
            NOW["open"], NOW["think"] = phase["kind"] == "open", phase.get("think") or 0.0
            if phase["kind"] == "pause":
                return 0, 1000
            if phase["kind"] == "closed":
                return phase["users"], 1000
            for length, start, end in phase["segments"]:
                if at < length:
                    return max(round(start + (end - start) * at / length), 0), 1000
                at -= length
            return round(phase["segments"][-1][2]), 1000

else:

    def chain(flow):
        class Chain(Sender):
            fixed_count = max(phase.get("users") or 1 for phase in flow["phases"])
            numbers = itertools.count()

            @task
            def steps(self):
                user = next(self.numbers)
                for phase in flow["phases"]:
                    if phase["kind"] == "pause":
                        time.sleep(phase["duration"])
                        continue
                    share = phase["iterations"] // phase["users"] + (user % phase["users"] < phase["iterations"] % phase["users"])
                    for _ in range(share):
                        self.send()
                        if phase.get("think"):
                            time.sleep(phase["think"])
                DONE.append(user)
                if len(DONE) == USERS:
                    self.environment.runner.quit()
                raise StopUser()

        Chain.__name__ = flow["name"] or "Flow"
        return Chain

    DONE = []
    CHAINS = [chain(flow) for flow in SPEC["flows"]]
    USERS = sum(one.fixed_count for one in CHAINS)
    globals().update({f"Chain{number}": one for number, one in enumerate(CHAINS)})

    @events.init_command_line_parser.add_listener
    def defaults(parser):
        parser.set_defaults(users=USERS, spawn_rate=1000)
