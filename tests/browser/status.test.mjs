// The status page as an operator meets it: in a fresh Chromium, beside a running Portico at work.
//
//   PORTICO_URL          where Portico listens
//   PORTICO_STATUS_URL   where its status page is
//   CHROMIUM             the browser (/usr/bin/chromium)

import assert from "node:assert/strict";
import { test } from "node:test";

import { chromium } from "playwright-core";

const url = process.env.PORTICO_URL ?? "http://127.0.0.1:4000";
const status = process.env.PORTICO_STATUS_URL ?? "http://127.0.0.1:9400/status";

async function graph(query) {
  const answer = await fetch(`${url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query }),
  });
  return answer.json();
}

/** Opens the page in a browser that finds no other host; what it asks of one, or complains of, is kept. */
async function open(t, colorScheme) {
  const { hostname, origin } = new URL(status);
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless=new", "--no-sandbox", "--disable-gpu", `--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE ${hostname}`],
  });
  t.after(() => browser.close());
  const page = await browser.newPage({ colorScheme });
  page.setDefaultTimeout(20_000);
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("request", (request) => {
    const target = new URL(request.url());
    if (target.origin !== origin && target.protocol !== "data:") complaints.push(`request to ${request.url()}`);
  });
  const answer = await page.goto(status);
  return { page, complaints, policy: answer.headers()["content-security-policy"] };
}

test("the status page shows the system live, by itself and under its policy", { timeout: 120_000 }, async (t) => {
  await graph("{ products { data { id } } }");
  await graph("{ me { id } }");
  const { page, complaints, policy } = await open(t, "light");
  assert.match(policy, /^default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+';/);
  await page.getByRole("status").getByText("All is ready").waitFor();

  const services = page.getByRole("region", { name: "Services" }).getByRole("listitem");
  await services.filter({ hasText: "payment" }).waitFor();
  const told = await services.locator("strong").allTextContents();
  assert.deepEqual(told, ["gateway", "user", "order", "payment"]);

  const row = (table, name) => page.getByRole("table", { name: table }).getByRole("row").filter({ hasText: name });
  await row("Slowest operations", "query other").waitFor();
  await row("Slowest RPCs", "OrderService/ListProducts").waitFor();
  await row("Refusals", "TOKEN_MISSING").waitFor();
  await row("Outboxes", "payment").getByText("leads").waitFor();
  assert.match(await page.getByRole("img", { name: "Requests and refusals a second" }).innerHTML(), /points="[0-9]/);

  // What happens now is there a moment later, without a click.
  const count = async () => Number((await row("Refusals", "TOKEN_MISSING").getByRole("cell").nth(2).textContent()).trim());
  const before = await count();
  await graph("{ me { id } }");
  await page.waitForFunction(
    ([reason, before]) =>
      [...document.querySelectorAll("#refusals tbody tr")].some(
        (line) => line.cells[0].textContent === reason && Number(line.cells[2].textContent) > before,
      ),
    ["TOKEN_MISSING", before],
  );
  assert.deepEqual(complaints, []);
});

test("the status page says first of all what is not well", { timeout: 60_000 }, async (t) => {
  const { page } = await open(t, "light");
  const change = async (of) => {
    await page.unroute("**/status.json");
    await page.route("**/status.json", async (route) => {
      const report = await (await route.fetch()).json();
      of(report.parts.find(({ name }) => name === "payment"));
      await route.fulfill({ json: report });
    });
  };
  await change((payment) => (payment.breaker = "open"));
  await page.getByRole("status").getByText("Failing: payment").waitFor();
  await change((payment) => (payment.checks[0].missing = "not reachable"));
  await page.getByRole("status").getByText("Not ready: payment").waitFor();
});

test("the status page follows the colours that its reader likes", { timeout: 60_000 }, async (t) => {
  const colours = {};
  for (const scheme of ["light", "dark"]) {
    const { page, complaints } = await open(t, scheme);
    await page.getByRole("heading", { name: "Portico" }).waitFor();
    colours[scheme] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.deepEqual(complaints, []);
  }
  assert.notEqual(colours.light, colours.dark);
});
