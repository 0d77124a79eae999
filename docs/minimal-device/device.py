# fmt: off
"""A minimal K1: hello, staging, activation, rollback and telemetry. docs/device-link.md says why it does so.

    python device.py k1-left.creds STATE_FOLDER    (over MQTT: k1-left.mqtt.json)

Beside the credential lie `server.json` (addresses and CA) and `trusted-keys.json`, as `./k1 devices add` writes them.
Left out: chunks over the link, going on with what a restart interrupted, the command trust. Ends when it is refused over NATS.
"""
import asyncio, base64, hashlib, importlib, itertools, json, os, re, signal, ssl, sys, time, urllib.request
from pathlib import Path

DOCS = Path(__file__).parents[1]
sys.path.append(str(DOCS))
open_bundle = importlib.import_module("bundle-reference-decoder").open_bundle  # checks the signature
NODE_TYPES = re.findall(r"^### (\w+)$", (DOCS / "graph-nodes.md").read_text(), re.M)  # here all; name those you have

now_ms = lambda: time.monotonic() * 1000  # neither jumps nor stops; where it begins does not matter

def fetch(url, size, chunk, tls):
    data = b""
    while len(data) < size:
        request = urllib.request.Request(url, headers={"Range": f"bytes={len(data)}-{min(len(data) + chunk, size) - 1}"})
        with urllib.request.urlopen(request, timeout=10, context=tls) as answer:
            whole = answer.status == 200 and "Content-Range" not in answer.headers
            data += answer.read()[len(data) if whole else 0 :]
    return data

class Device:
    def __init__(self, device_id, folder, keys, servers):
        self.id, self.folder, self.since_ms, self.busy, self.armed, self.tasks = device_id, folder, now_ms(), None, None, set()
        self.nats_url, self.tls = servers["nats_url"], ssl.create_default_context(cadata=servers["ca"])  # no CA: the system's
        self.keys = {key["kid"]: base64.urlsafe_b64decode(key["x"] + "==") for key in keys["keys"]}
        self.state = {"active": None, "others": [], "fence": 0, "answers": {}}
        self.state |= json.loads(file.read_text()) if (file := folder / "state.json").exists() else {}

    def begin(self, work):
        self.tasks.add(task := asyncio.create_task(work))  # a transfer must not hold up the answer to a ping
        task.add_done_callback(self.tasks.discard)
        return task

    def save(self, **changes):
        self.state |= changes
        (self.folder / "state.new").write_text(json.dumps(self.state))
        os.replace(self.folder / "state.new", self.folder / "state.json")  # one atomic step; only then delete bundles
        [file.unlink() for file in self.folder.glob("?" * 64) if not self.held(file.name)]

    def held(self, sha256):
        return next((b for b in [self.state["active"], *self.state["others"]] if b and b["bundle_sha256"] == sha256), None)

    def run(self, bundle):
        self.since_ms = now_ms()  # a device changes the lights here, before anything else; None is the idle show
        others = [b for b in [*self.state["others"], self.state["active"]] if b and b != bundle]
        self.save(active=bundle, others=others[-1 if bundle else -2 :])

    def hello(self):
        return {"id": self.id, "model": "K1 minimal", "firmware": "1.0.0", "hardware": "python", "node_types": NODE_TYPES,
                "flash_free_bytes": 4 << 20, "key_ids": list(self.keys), "active": self.state["active"],
                "staged": [b["bundle_sha256"] for b in self.state["others"]]}

    async def say_hello(self):
        await self.publish(f"device/{self.id}/hello", self.hello())

    async def report(self):
        for seq in itertools.count():
            playing = self.state["active"] or {}
            reading = {"ts": now_ms(), "seq": seq, "drift_ms": 0.0, "cpu_pct": 10, "temp_c": 40, "fps": 60,
                       "heap_free": 100000, "rssi": -50, "track_id": playing.get("track_id")}
            await self.publish(f"telemetry/{self.id}", reading)
            await asyncio.sleep(0.1 if playing else 1)

    async def command(self, verb, body, reply=""):
        if verb == "error":
            print("refused by the services:", body.decode(), file=sys.stderr, flush=True)
        if verb not in ("info", "ping", "stage", "activate", "deactivate", "discard"):
            return
        came_ms, command, topics = now_ms(), json.loads(body), [f"device/{self.id}/reply", *([reply] if reply else [])]

        async def answer(status, **more):
            said = {"command_id": command["command_id"], "device_id": self.id, "verb": verb, "status": status, **more}
            if status != "refused" and verb not in ("info", "ping"):  # it was begun: remembered before it is sent
                self.save(answers=dict([*(self.state["answers"] | {said["command_id"]: said}).items()][-64:]))
            hello = {} if status == "accepted" or verb == "ping" else {"hello": self.hello()}
            await self.publish(topics.pop() if len(topics) > 1 else topics[0], said | hello)  # one on the reply subject

        fence, known = command.get("fence", 0), self.state["answers"].get(command["command_id"])
        self.save(fence=max(self.state["fence"], fence))
        if known:
            await answer(**{name: known[name] for name in known.keys() - {"command_id", "device_id", "verb"}})
        elif 0 < fence < self.state["fence"]:
            await answer("refused", code="stale_fence")
        elif command.get("deadline_ms", came_ms) < came_ms:
            await answer("refused", code="deadline_passed")
        elif verb in ("info", "ping"):
            await answer("done", **({"received_ms": came_ms, "replied_ms": now_ms()} if verb == "ping" else {}))
        else:
            await getattr(self, verb)(command, self.held(command.get("bundle_sha256")), answer)

    async def stage(self, command, bundle, answer):
        if bundle or self.busy:
            return await (answer("done") if bundle else answer("refused", code="busy"))
        self.busy = True
        await answer("accepted")
        try:
            data = await asyncio.to_thread(fetch, command["url"], command["size"], command["chunk_size"], self.tls)
            if hashlib.sha256(data).hexdigest() != command["bundle_sha256"]:
                return await answer("failed", code="hash_mismatch")
            open_bundle(data, next((key for kid, key in self.keys.items() if kid.encode() in data), b""))
            (self.folder / command["bundle_sha256"]).write_bytes(data)
            bundle = {name: command[name] for name in ("bundle_sha256", "track_id", "version")}
            self.save(others=[*self.state["others"], bundle][-1 if self.state["active"] else -2 :])
            await answer("done")
        except Exception as error:
            await answer("failed", code="fetch_failed" if isinstance(error, OSError) else "bad_signature", message=repr(error)[:500])
        finally:
            self.busy = False

    async def activate(self, command, bundle, answer):
        if not bundle or bundle == self.state["active"]:
            return await (answer("done", at_ms=self.since_ms) if bundle else answer("refused", code="not_staged"))
        self.armed = command["command_id"]
        await answer("accepted")
        await asyncio.sleep(max(0, command.get("at_ms", 0) - now_ms()) / 1000)
        if self.armed != command["command_id"]:
            return await answer("failed", code="activate_failed", message="disarmed, or replaced by another activation")
        self.run(bundle)
        await answer("done", at_ms=self.since_ms)

    async def deactivate(self, command, _, answer):
        if command.get("restore") and not self.held(command["restore"]):
            return await answer("refused", code="unknown_bundle")
        self.armed = None
        self.run(self.held(command.get("restore")))
        await answer("done")

    async def discard(self, command, bundle, answer):
        if bundle and bundle == self.state["active"]:
            return await answer("refused", code="still_active")
        self.save(others=[b for b in self.state["others"] if b != bundle])
        await answer("done")

async def main(file, folder):
    documents = [json.loads((file.parent / name).read_text()) for name in ("trusted-keys.json", "server.json")]
    device = Device(file.name.split(".")[0], folder, *documents)
    link = importlib.import_module("nats_link" if file.suffix == ".creds" else "mqtt_link")
    running = asyncio.create_task(link.run(file.read_text(), device))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    await asyncio.wait([running])

if __name__ == "__main__": asyncio.run(main(*map(Path, sys.argv[1:])))
