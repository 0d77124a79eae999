# fmt: off
"""The connection of the minimal device over NATS; `text` is that of its `.creds` file."""
import base64, json, re
import nats
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

async def run(text, device):
    token, seed = re.findall(r"^([A-Za-z0-9._-]{50,})$", text, re.M)
    key = Ed25519PrivateKey.from_private_bytes(base64.b32decode(seed + "=" * (-len(seed) % 8))[2:34])
    link = nats.NATS()
    device.publish = lambda topic, body: link.publish(topic.replace("/", "."), json.dumps(body).encode())
    async def on_command(message):
        device.begin(device.command(message.subject.rsplit(".", 1)[1], message.data, message.reply))
    await link.connect(device.nats_url, user_jwt_cb=token.encode, signature_cb=lambda nonce: base64.b64encode(key.sign(nonce.encode())),
                       inbox_prefix=f"_INBOX.{device.id}", ping_interval=10, max_reconnect_attempts=-1,
                       tls=device.tls if device.nats_url.startswith("tls:") else None, reconnected_cb=device.say_hello)
    await link.subscribe(f"command.{device.id}.>", cb=on_command)
    await link.flush()
    await device.say_hello()
    try:
        await device.report()
    finally:
        await device.publish(f"device/{device.id}/bye", {"id": device.id})
        await link.drain()
