// The page of REST as a person meets it, in a fresh Chromium: it signs in, orders, and reads a refusal.
//
//   PORTICO_URL, PORTICO_DEMO_EMAIL, PORTICO_DEMO_PASSWORD, CHROMIUM   as for the IDE

import assert from "node:assert/strict";
import { test } from "node:test";

import { chromium } from "playwright-core";

const url = process.env.PORTICO_URL ?? "http://127.0.0.1:8080";
const email = process.env.PORTICO_DEMO_EMAIL ?? "ada@example.com";
const password = process.env.PORTICO_DEMO_PASSWORD ?? "demo-customer-4711";

test("a person signs in and orders on the page of REST, which asks no other host", { timeout: 90_000 }, async (t) => {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless=new", "--no-sandbox", "--disable-gpu", `--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE ${new URL(url).hostname}`],
  });
  t.after(() => browser.close());
  const page = await browser.newPage();
  page.setDefaultTimeout(20_000);
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    // The browser reports each 4xx; the steps judge those answers themselves.
    const refusal = message.text().startsWith("Failed to load resource") && message.location().url.includes("/api/v1/");
    if (message.type() === "error" && !refusal) complaints.push(message.text());
  });
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== new URL(url).origin) complaints.push(`request to ${request.url()}`);
  });
  await page.goto(`${url}/api/v1/docs`);

  const open = async (operation) => {
    const details = page.locator(`#${operation}`);
    await details.locator("summary").click();
    return details;
  };
  const send = async (details, told) => {
    await details.getByRole("button", { name: "Send" }).click();
    await details.locator("pre", { hasText: told }).waitFor();
    return details.locator("pre").textContent();
  };

  const login = await open("login");
  await login.locator("textarea").fill(JSON.stringify({ email, password }));
  assert.match(await send(login, "200 OK"), /"refreshToken"/);
  assert.notEqual(await page.getByLabel("Access token").inputValue(), "");

  const create = await open("createOrder");
  const body = JSON.parse(await create.locator("textarea").inputValue());
  assert.equal(body.items[0].productId, "prod-1", "the example of the document is filled in");
  await create.locator("textarea").fill(JSON.stringify({ ...body, shippingAddress: "1 Browser Lane" }));
  assert.match(await send(create, "201 Created"), /"totalAmount": "999\.99"/);

  const users = await open("listUsers");
  assert.match(await send(users, "403 Forbidden"), /"FORBIDDEN"/);
  assert.deepEqual(complaints, []);
});
