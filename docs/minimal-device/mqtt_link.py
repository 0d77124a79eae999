# fmt: off
"""The connection of the minimal device over MQTT 3.1.1; `text` is that of its `.mqtt.json` file."""
import asyncio, json
import aiomqtt

async def run(text, device):
    login, bye = json.loads(text), json.dumps({"id": device.id})
    while True:
        try:
            async with aiomqtt.Client(login["host"], login["port"], username=login["user"], password=login["password"],
                                      identifier=login["client_id"], keepalive=10, tls_context=device.tls if login["tls"] else None,
                                      will=aiomqtt.Will(f"device/{device.id}/bye", bye)) as link:
                device.publish = lambda topic, body: link.publish(topic, json.dumps(body))
                await link.subscribe(f"command/{device.id}/#")
                await device.say_hello()
                reporting = device.begin(device.report())
                try:
                    async for message in link.messages:
                        device.begin(device.command(message.topic.value.rsplit("/", 1)[1], message.payload))
                finally:
                    reporting.cancel()
                    await link.publish(f"device/{device.id}/bye", bye)
        except aiomqtt.MqttError:
            await asyncio.sleep(1)
