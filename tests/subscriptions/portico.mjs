// What the tests of subscriptions ask of a running Portico beside what they follow.
//
//   PORTICO_URL   where Portico listens (http://127.0.0.1:4000)

import { randomUUID } from "node:crypto";

export const url = process.env.PORTICO_URL ?? "http://127.0.0.1:4000";
export const graphql = `${url}/graphql`;
export const socketUrl = graphql.replace(/^http/, "ws");

/** `data` of the answer; a refusal is thrown with its reason. */
export async function ask(query, token) {
  const response = await fetch(graphql, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query }),
  });
  const { data, errors } = await response.json();
  if (errors) throw Object.assign(new Error(JSON.stringify(errors)), { reason: errors[0].extensions.reason });
  return data;
}

/** A new customer, who can log in again and again. */
export async function register() {
  const credentials = `email: "${randomUUID()}@example.com", password: "violet-harbour-93-lantern"`;
  const { register: first } = await ask(
    `mutation { register(input: { ${credentials}, firstName: "Ada", lastName: "Lovelace" }) { token } }`,
  );
  const logIn = async () => (await ask(`mutation { login(input: { ${credentials} }) { token } }`)).login.token;
  return { token: first.token, logIn };
}

/** Places an order; gives its id. */
export async function place(token) {
  const { createOrder } = await ask(
    `mutation { createOrder(input: { shippingAddress: "1 Main Street", items: [{ productId: "prod-2", quantity: 1 }] }) { id } }`,
    token,
  );
  return createOrder.id;
}

/** Pays an order, once its payment is there. */
export async function pay(order, token) {
  for (;;) {
    try {
      const made = await ask(`mutation { createPayment(input: { orderId: "${order}" }) { id } }`, token);
      await ask(
        `mutation { processPayment(input: { paymentId: "${made.createPayment.id}", token: "tok_visa" }) { status } }`,
        token,
      );
      return;
    } catch (error) {
      if (error.reason !== "ORDER_NOT_READY") throw error;
      await new Promise((wake) => setTimeout(wake, 50));
    }
  }
}

export const cancel = (order, token) => ask(`mutation { cancelOrder(id: "${order}") { status } }`, token);
