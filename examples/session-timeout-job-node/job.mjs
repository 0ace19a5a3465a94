// node job.mjs job.json: one pass, for a timer to repeat. Ends with 0 where all of it was done.
import { endedBy } from "./events.mjs";
import { GenesysError, idleTimeout } from "./genesys.mjs";
import { publishWaiting } from "./relay.mjs";
import { readSettings } from "./settings.mjs";
import { Store } from "./store.mjs";

// Ends the sessions that are idle for as long as the organization allows; returns how many.
async function endIdle(store, settings) {
  const seconds = await idleTimeout(settings);
  return seconds === null ? 0 : store.endIdle(seconds, await endedBy(settings));
}

// Says what one half came to, in one line without a secret; what it cannot do keeps the other half from nothing.
async function isDone(what, half) {
  try {
    console.log(`${what}: ${await half()}`);
    return true;
  } catch (error) {
    const told = error instanceof GenesysError ? `Genesys Cloud: ${error.message}` : (error.code ?? error.name);
    console.error(`${what}: not all, ${told}; the next pass does the rest`);
    return false;
  }
}

if (process.argv.length !== 3) {
  console.error("usage: node job.mjs job.json");
  process.exit(2);
}
let settings;
let store;
try {
  settings = readSettings(process.argv[2]);
  store = new Store(settings.store_url);
} catch (error) {
  console.error(error.message);
  process.exit(2);
}
const ended = await isDone("ended", () => endIdle(store, settings));
const published = await isDone("published", () => publishWaiting(store, settings.broker_url));
await store.close();
process.exit(ended && published ? 0 : 1);
