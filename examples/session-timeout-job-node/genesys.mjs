// After how long without use a session is over: what the Genesys Cloud organization says (GetTokensTimeout).

const TIMEOUT = 10_000; // milliseconds for each answer
const LEAST = 300; // seconds: what Genesys Cloud takes; anything else would log people out who are at work
const MOST = 28_800;

// Genesys Cloud did not say how long a session may be idle, so none is ended.
export class GenesysError extends Error {}

// Returns the organization's idle timeout in seconds, null where it has none.
export async function idleTimeout(settings) {
  const client = `${settings.genesys_client_id}:${settings.genesys_client_secret}`;
  const login = await ask(`${settings.genesys_login_url}/oauth/token`, {
    method: "POST",
    headers: {
      Authorization: `Basic ${Buffer.from(client).toString("base64")}`,
      "Content-Type": "application/x-www-form-urlencoded",
    },
    body: "grant_type=client_credentials",
  });
  const headers = { Authorization: `Bearer ${login.access_token}`, Accept: "application/json" };
  const timeout = await ask(`${settings.genesys_api_url}/api/v2/tokens/timeout`, { headers });
  const { enableIdleTokenTimeout: isOn, idleTokenTimeoutSeconds: seconds } = timeout;
  if (isOn === false) return null;
  if (isOn === true && Number.isInteger(seconds) && seconds >= LEAST && seconds <= MOST) return seconds;
  throw new GenesysError("its answer holds no idle timeout from 300 to 28800 s");
}

// A redirect would carry the credential to another host: it is an error.
async function ask(url, request) {
  let answer;
  let document;
  try {
    answer = await fetch(url, { ...request, redirect: "error", signal: AbortSignal.timeout(TIMEOUT) });
    if (answer.ok) document = await answer.json();
  } catch {
    throw new GenesysError("no answer that can be read");
  }
  if (!answer.ok) throw new GenesysError(`it answers ${answer.status}`);
  return document ?? {};
}
