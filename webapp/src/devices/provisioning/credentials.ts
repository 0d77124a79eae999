import type { Schemas } from "../../api/types";

type Servers = Schemas["DeviceServers"];

/** A file that is installed on a device, as `k1 devices add` writes it. */
export interface CredentialFile {
  name: string;
  text: string;
}

const ID = /^[A-Za-z0-9_-]{1,40}$/;

/** Reads ids that are separated by lines, spaces or commas; undefined where one is wrong or there is none. */
export function readIds(text: string): string[] | undefined {
  const ids = [...new Set(text.split(/[\s,]+/).filter(Boolean))];
  return ids.length > 0 && ids.every((id) => ID.test(id)) ? ids : undefined;
}

/** Returns the files of new devices: one for each, and those that all of them need. */
export function credentialFiles(added: Schemas["DevicesAdded"]): CredentialFile[] {
  const servers = added.servers ?? {};
  const files = added.credentials.map((credential) => credentialFile(credential, servers));
  files.push({ name: "trusted-keys.json", text: added.trusted_keys }, { name: "server.json", text: document(servers) });
  if (servers.ca) files.push({ name: "ca.pem", text: servers.ca });
  return files;
}

function credentialFile(credential: Schemas["DeviceCredential"], servers: Servers): CredentialFile {
  const { device_id, transport, secret } = credential;
  if (transport === "nats") {
    const lines = servers.nats_url ? [`\n# The server is ${servers.nats_url}`, servers.ca && "# Its certificate leads back to the CA in ca.pem, which lies beside this file."] : [];
    return { name: `${device_id}.creds`, text: [secret + (lines.shift() ?? ""), ...lines.filter(Boolean), ""].join("\n") };
  }
  const place = servers.mqtt_url ? new URL(servers.mqtt_url.replace(/^mqtt/, "http")) : undefined;
  const mqtt = { client_id: credential.client_id ?? null, user: credential.user ?? device_id, password: secret, host: place?.hostname ?? null, port: place ? Number(place.port) : null, tls: servers.mqtt_url?.startsWith("mqtts:") ?? false, ca: servers.ca ?? null };
  return { name: `${device_id}.mqtt.json`, text: document(mqtt) };
}

function document(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
