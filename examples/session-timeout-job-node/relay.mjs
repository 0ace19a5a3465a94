// From the outbox to the broker: an event is forgotten only when the broker has confirmed it.
import amqp from "amqplib";

const TIMEOUT = 10_000; // milliseconds, for the connection and for the confirms of a batch

// Publishes what the outbox holds; returns how many events. Throws where one is not safe: then the rest stays there.
export async function publishWaiting(store, brokerUrl) {
  let events = await store.waiting();
  if (events.length === 0) return 0;
  const connection = await amqp.connect(brokerUrl, { timeout: TIMEOUT });
  connection.on("error", () => {}); // the confirms that it owes fail, and say so
  const channel = await connection.createConfirmChannel();
  let published = 0;
  for (; events.length > 0; events = await store.waiting()) {
    await publish(channel, events);
    await store.forget(events);
    published += events.length;
  }
  await connection.close();
  return published;
}

async function publish(channel, events) {
  let returned = 0;
  const count = () => { returned += 1; };
  channel.on("return", count);
  for (const event of events) {
    channel.publish("revocation.events", event.type, Buffer.from(event.body), {
      contentType: "application/cloudevents+json",
      headers: { "x-revocation-signature": event.signature },
      persistent: true,
      mandatory: true,
    });
  }
  await within(TIMEOUT, channel.waitForConfirms()); // a return comes before its confirm
  channel.off("return", count);
  if (returned > 0) throw new Error("no queue took the event: has the worker ever run on this broker?");
}

async function within(milliseconds, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("the broker does not confirm in time")), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
