// The IDE as a person meets it: a fresh Chromium opens the page of a running Portico, and everything is done
// by mouse and keyboard. One test, because each step rests on the one before; the first that fails ends it.
//
//   PORTICO_URL             where Portico listens (http://127.0.0.1:4000)
//   PORTICO_DEMO_EMAIL      the customer's account that `portico up` makes in development (ada@example.com)
//   PORTICO_DEMO_PASSWORD   its password
//   CHROMIUM                the browser (/usr/bin/chromium)

import assert from "node:assert/strict";
import { test } from "node:test";

import { openIde } from "./ide.mjs";

const url = process.env.PORTICO_URL ?? "http://127.0.0.1:4000";
const email = process.env.PORTICO_DEMO_EMAIL ?? "ada@example.com";
const password = process.env.PORTICO_DEMO_PASSWORD ?? "demo-customer-4711";

const login = `mutation SignIn {
  login(input: { email: ${JSON.stringify(email)}, password: ${JSON.stringify(password)} }) {
    token
    refreshToken
    expiresAt
    user { id email }
  }
}`;

const createOrder = `mutation Buy {
  createOrder(input: { shippingAddress: "1 Browser Lane", notes: "Straße, 東京, سلام", items: [{ productId: "prod-1", quantity: 2 }] }) {
    id
    status
    totalAmount
    items { productName quantity unitPrice }
  }
}`;

const me = "query Mine { me { email orders { id totalAmount items { productName quantity } } } }";

test("a person signs in, orders, pays and reads it back in the IDE", { timeout: 180_000 }, async (t) => {
  assert.ok(
    email && password,
    "PORTICO_DEMO_EMAIL and PORTICO_DEMO_PASSWORD name the account to log in with",
  );
  const ide = await openIde(url);
  t.after(() => ide.close());
  const step = async (name, action) => {
    await ide.step(name, action);
    t.diagnostic(name);
  };
  let token;
  let order;

  await step("the page shows its name, the examples and the place for the token", async () => {
    await ide.page.getByRole("heading", { name: "Portico" }).waitFor();
    const examples = ide.page.getByRole("navigation", { name: "Examples" }).getByRole("button");
    const names = await examples.allTextContents();
    const expected = [
      "register",
      "login",
      "products",
      "createOrder",
      "createPayment",
      "processPayment",
      "orders",
      "me",
      "orderStatusChanged",
      "paymentUpdated",
    ];
    assert.deepEqual(names, expected);
    assert.equal(await ide.token(), "");
    await ide.page.getByText("No token: you are a guest").waitFor();
  });

  await step("the first example runs without a token", async () => {
    const { products } = (await ide.run()).data;
    assert.ok(JSON.stringify(products).includes('"prod-1"'), JSON.stringify(products));
  });

  await step("what a query cost stands below its answer, and not in it", async () => {
    await ide.write("query Page { products(limit: 10) { data { id name } } }");
    const answer = await ide.run();
    assert.deepEqual(Object.keys(answer), ["data"]);
    await ide.page.getByText(/ · cost 17 of 5,000$/).waitFor();
  });

  await step("a query that costs too much is told the limit", async () => {
    await ide.write("query Explosion { orders(limit: 100) { data { user { orders(limit: 100) { id } } } } }");
    const { errors } = await ide.run();
    assert.equal(errors[0].extensions.reason, "QUERY_TOO_COSTLY");
    await ide.page.getByText("the request has 11405 points of cost; at most 5000 are permitted", { exact: true }).waitFor();
  });

  await step("without a token, what belongs to a person is refused with a hint", async () => {
    await ide.write(me);
    const { errors } = await ide.run();
    assert.equal(errors[0].extensions.code, "UNAUTHENTICATED");
    await ide.page.getByText("Run login or register, then use the token of its answer.").waitFor();
  });

  await step("logging in by typing brings a token, and one click puts it in its place", async () => {
    await ide.write(login);
    const answer = await ide.run();
    token = answer.data.login.token;
    assert.equal(answer.data.login.user.email, email);
    await ide.page.getByRole("button", { name: "Use the token of this answer" }).click();
    assert.equal(await ide.token(), token);
    await ide.page.getByText(/^CUSTOMER · \d+ min left$/).waitFor();
  });

  await step("the login example signs the demo customer in as it stands", async () => {
    await ide.example("login");
    const { token: another, user } = (await ide.run()).data.login;
    assert.equal(user.email, email);
    assert.notEqual(another, token);
  });

  await step("the token can be cleared, and pasted by hand as it stands in a header", async () => {
    await ide.page.getByRole("button", { name: "Clear" }).click();
    assert.equal(await ide.token(), "");
    await ide.page.getByLabel("Access token").click();
    await ide.page.keyboard.insertText(`Bearer ${token}\n`);
    assert.equal(await ide.token(), token);
  });

  await step("an order is placed with the server's price", async () => {
    await ide.write(createOrder);
    order = (await ide.run()).data.createOrder;
    assert.equal(order.status, "PENDING");
    assert.equal(order.totalAmount, "1999.98");
    assert.deepEqual(order.items, [{ productName: "Laptop", quantity: 2, unitPrice: "999.99" }]);
  });

  await step("the order stands in me", async () => {
    await ide.write(me);
    const viewer = (await ide.run()).data.me;
    assert.equal(viewer.email, email);
    const found = viewer.orders.find(({ id }) => id === order.id);
    assert.deepEqual(found?.items, [{ productName: "Laptop", quantity: 2 }]);
  });

  await step("an example opens in a tab of its own and keeps what was written", async () => {
    await ide.example("orders");
    await ide.page.getByRole("tab", { name: "Orders" }).waitFor();
    assert.deepEqual(await ide.tabs(), ["SignIn", "Mine", "Orders"]);
    const { data } = (await ide.run()).data.orders;
    assert.equal(data[0].id, order.id, "the newest order comes first");
    assert.equal(data[0].user.email, email);
    await ide.page.getByRole("tab", { name: "Mine" }).click();
    assert.equal(await ide.written(), me);
  });

  await step("the examples follow one another: the order's payment, then its charge", async () => {
    await ide.example("createOrder");
    const ordered = (await ide.run()).data.createOrder;
    await ide.example("createPayment");
    const payment = await paymentOf(ide);
    assert.equal(payment.amount, ordered.totalAmount);
    await ide.example("processPayment");
    const paid = (await ide.run()).data.processPayment;
    assert.deepEqual([paid.id, paid.status], [payment.id, "SUCCEEDED"]);
    order = ordered;
  });

  await step("the paid order becomes CONFIRMED", async () => {
    await ide.example("orders");
    // The payment's event reaches the order a moment later: read until it has, within the step's deadline.
    for (;;) {
      const { data } = (await ide.run()).data.orders;
      const found = data.find(({ id }) => id === order.id);
      assert.equal(found?.payment?.status, "SUCCEEDED");
      if (found.status === "CONFIRMED") return;
      assert.equal(found.status, "PENDING");
      await ide.page.waitForTimeout(200);
    }
  });

  await step("a subscription shows an order turn CONFIRMED as it is paid elsewhere", async () => {
    await ide.example("orderStatusChanged");
    await ide.follow();
    const buyer = (query) => ask(query, token);
    const { createOrder: placed } = await buyer(
      `mutation { createOrder(input: { shippingAddress: "2 Browser Lane", items: [{ productId: "prod-2", quantity: 1 }] }) { id } }`,
    );
    const payment = await paymentElsewhere(placed.id, buyer);
    await buyer(`mutation { processPayment(input: { paymentId: "${payment}", token: "tok_visa" }) { status } }`);
    await ide.shown(/"to": "CONFIRMED"/);
    await ide.shown(new RegExp(`"id": "${placed.id}"`));
    await ide.stop();
  });

  await step("a wrong document is underlined, refused, and its code is shown", async () => {
    await ide.write("query Wrong { nonsense }");
    await ide.page.locator(".graphiql-query-editor .CodeMirror-lint-mark-error").first().waitFor();
    const { data, errors } = await ide.run();
    assert.equal(data, undefined);
    assert.equal(errors[0].extensions.code, "BAD_USER_INPUT");
    await ide.page.locator(".portico-error strong", { hasText: "BAD_USER_INPUT" }).waitFor();
  });

  await step("an Authorization in the headers editor wins over the token's field", async () => {
    await ide.write(me);
    await ide.writeHeaders('{ "Authorization": "Bearer not.a.token" }');
    assert.equal((await ide.run()).errors[0].extensions.code, "UNAUTHENTICATED");
    await ide.writeHeaders("");
    assert.equal((await ide.run()).data.me.email, email);
  });

  await step("the documentation finds createOrder", async () => {
    await ide.page.getByRole("button", { name: "Show Documentation Explorer" }).click();
    await ide.page.locator(".graphiql-doc-explorer-search-input").click();
    await ide.page.keyboard.type("createOrder");
    await ide.page.getByRole("option", { name: /^Mutation\s*\.\s*createOrder/ }).click();
    const docs = ide.page.locator(".graphiql-doc-explorer");
    await docs.locator(".graphiql-doc-explorer-title", { hasText: /^createOrder$/ }).waitFor();
    await docs.locator("a", { hasText: /^CreateOrderInput$/ }).click();
    await docs.getByText("shippingAddress").waitFor();
    await ide.page.getByRole("button", { name: "Hide Documentation Explorer" }).click();
  });

  await step("the colours change", async () => {
    const lightness = () =>
      ide.page.evaluate(() =>
        getComputedStyle(document.body).backgroundColor.match(/\d+/g).slice(0, 3).map(Number),
      );
    await ide.page.getByRole("radio", { name: "Dark" }).click();
    await ide.page.locator("body.graphiql-dark").waitFor();
    assert.ok(Math.max(...(await lightness())) < 60, String(await lightness()));
    await ide.page.getByRole("radio", { name: "Light" }).click();
    await ide.page.locator("body.graphiql-light").waitFor();
    assert.ok(Math.min(...(await lightness())) > 240, String(await lightness()));
  });

  await step("the dialogs open under the page's own policy", async () => {
    await ide.page.getByRole("button", { name: "Open short keys dialog" }).click();
    await ide.page.getByRole("dialog").getByText("Execute query").waitFor();
    await ide.page.keyboard.press("Escape");
    await ide.page.getByRole("dialog").waitFor({ state: "detached" });
  });

  await step("a reload keeps the token and what was written", async () => {
    await ide.reload();
    assert.equal(await ide.token(), token);
    assert.equal(await ide.written(), me);
    assert.equal((await ide.run()).data.me.email, email);
  });

  await step("the page asked no other host, and the browser had nothing to complain about", async () => {
    assert.deepEqual(ide.complaints, []);
  });
});

/** Runs createPayment until the order's event has arrived; every other refusal is a failure. */
async function paymentOf(ide) {
  for (;;) {
    const { data, errors } = await ide.run();
    if (!errors) return data.createPayment;
    assert.equal(errors[0].extensions.reason, "ORDER_NOT_READY", JSON.stringify(errors));
    await ide.page.waitForTimeout(200);
  }
}

/** `data` of an answer to what is asked beside the page, as from another window. */
async function ask(query, token) {
  const response = await fetch(new URL("/graphql", url), {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
    body: JSON.stringify({ query }),
  });
  const { data, errors } = await response.json();
  if (errors) throw Object.assign(new Error(JSON.stringify(errors)), { reason: errors[0].extensions.reason });
  return data;
}

/** The id of the order's payment, once its event has arrived. */
async function paymentElsewhere(orderId, ask) {
  for (;;) {
    try {
      return (await ask(`mutation { createPayment(input: { orderId: "${orderId}" }) { id } }`)).createPayment.id;
    } catch (error) {
      if (error.reason !== "ORDER_NOT_READY") throw error;
      await new Promise((wake) => setTimeout(wake, 100));
    }
  }
}
