// The job's settings: one JSON file, which holds secrets and is therefore its owner's alone.
import { readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

const NAMES = [
  "store_url", "broker_url", "source", "jwks_file", "signing_key_file",
  "genesys_api_url", "genesys_login_url", "genesys_client_id", "genesys_client_secret",
];
const OPEN_TO_OTHERS = 0o077;
const ENCRYPTED = { broker_url: "amqps", genesys_api_url: "https", genesys_login_url: "https" };

// Returns what the file says; throws an error that names the setting and never its value.
export function readSettings(file) {
  if (statSync(file).mode & OPEN_TO_OTHERS) {
    throw new Error(`${file}: holds secrets and is open to others; chmod 600 ${file}`);
  }
  const document = parsed(file);
  const unknown = Object.keys(document).find((name) => !NAMES.includes(name));
  if (unknown !== undefined) throw new Error(`${file}: ${unknown} is unknown`);
  for (const name of NAMES) {
    if (typeof document[name] !== "string" || document[name] === "") throw new Error(`${file}: ${name} must be a text`);
  }
  for (const [name, scheme] of Object.entries(ENCRYPTED)) {
    if (!isSafe(document[name], scheme)) throw new Error(`${file}: ${name} must start with ${scheme}://`);
  }
  const folder = dirname(file);
  const { jwks_file, signing_key_file } = document;
  return { ...document, jwks_file: join(folder, jwks_file), signing_key_file: join(folder, signing_key_file) };
}

function parsed(file) {
  let document = null;
  try {
    document = JSON.parse(readFileSync(file, "utf8"));
  } catch {
    // What JSON.parse says would show what it could not read.
  }
  if (document === null || typeof document !== "object" || Array.isArray(document)) {
    throw new Error(`${file}: must hold one JSON object`);
  }
  return document;
}

// Whether a secret may be sent there: over TLS, or without leaving this machine.
function isSafe(url, scheme) {
  const local = new RegExp(`^${scheme.slice(0, -1)}://([^@/]*@)?(127\\.0\\.0\\.1|localhost)(:\\d+)?(/|$)`);
  return url.startsWith(`${scheme}://`) || local.test(url);
}
