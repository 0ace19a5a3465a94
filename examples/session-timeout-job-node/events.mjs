// An idle session as the event that is published: its token sealed, its bytes signed.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { CompactEncrypt, CompactSign, importJWK } from "jose";

const TYPE = "session.ended";

// Returns a function that makes the event of a session, with the worker's newest public key and the job's own key.
export async function endedBy(settings) {
  const [sealingJwk] = JSON.parse(readFileSync(settings.jwks_file)).keys;
  const signingJwk = JSON.parse(readFileSync(settings.signing_key_file));
  const sealing = { jwk: sealingJwk, key: await importJWK(sealingJwk, sealingJwk.alg) };
  const signing = { jwk: signingJwk, key: await importJWK(signingJwk, signingJwk.alg) };
  return (session) => ended(settings.source, session, sealing, signing);
}

async function ended(source, session, sealing, signing) {
  const now = new Date();
  const event = {
    specversion: "1.0",
    id: randomUUID(),
    source,
    type: TYPE,
    time: now.toISOString(),
    data: {
      sub_id: { format: "email", email: session.email },
      sessions: [{
        provider: session.provider,
        session_id: session.id,
        credential: { jwe: await seal(session, sealing) },
        expires_at: new Date(Number(session.expires_at) * 1000).toISOString(),
      }],
      reason: "idle-timeout",
      initiating_entity: "policy",
    },
  };
  const body = JSON.stringify(event);
  const created_at = Math.floor(now.getTime() / 1000);
  return { event_id: event.id, type: TYPE, body, signature: await sign(body, signing), created_at };
}

function seal({ provider, token }, { jwk, key }) {
  return new CompactEncrypt(Buffer.from(JSON.stringify({ aud: provider, token })))
    .setProtectedHeader({ alg: jwk.alg, enc: "A256GCM", kid: jwk.kid })
    .encrypt(key);
}

// The detached JWS of exactly these bytes: without its middle part.
async function sign(body, { jwk, key }) {
  const jws = new CompactSign(Buffer.from(body)).setProtectedHeader({ alg: jwk.alg, kid: jwk.kid });
  const [header, , signature] = (await jws.sign(key)).split(".");
  return `${header}..${signature}`;
}
