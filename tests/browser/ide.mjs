// A person's hands and eyes at the IDE: what the test clicks, types and reads.

import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";

const STEP_MILLISECONDS = 20_000;
const ACTION_MILLISECONDS = 10_000;
/** At least so many lines of an answer fit into the window below. */
const WINDOW_LINES = 60;

/** Opens `url` in a fresh browser. Whatever the page asks of another origin, or complains of, is kept. */
export async function openIde(url) {
  const { hostname } = new URL(url);
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--headless=new",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-component-update",
      "--no-first-run",
      // No name but Portico's resolves: the page has to work without the internet.
      `--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE ${hostname}`,
    ],
  });
  // Tall enough that the editors draw every line: they leave out those that cannot be seen.
  const page = await browser.newPage({ viewport: { width: 1400, height: 2000 }, colorScheme: "light" });
  page.setDefaultTimeout(ACTION_MILLISECONDS);
  const ide = new Ide(browser, page, url);
  await ide.step("the page opens", () => ide.open());
  return ide;
}

class Ide {
  /** Requests to other origins, console errors (violations of the page's policy among them), exceptions. */
  complaints = [];
  #browser;
  #url;

  constructor(browser, page, url) {
    this.#browser = browser;
    this.#url = url;
    this.page = page;
    this.#listen();
  }

  #listen() {
    const origin = new URL(this.#url).origin;
    const endpoint = `${origin}/graphql`;
    this.page.on("request", (request) => {
      const target = new URL(request.url());
      const inside = target.origin === origin || ["data:", "blob:"].includes(target.protocol);
      if (!inside) this.complaints.push(`request to ${request.url()}`);
    });
    this.page.on("requestfailed", (request) => this.complaints.push(`failed: ${request.url()}`));
    this.page.on("pageerror", (error) => this.complaints.push(`exception: ${error.message}`));
    this.page.on("console", (message) => {
      // The browser reports each 4xx of the endpoint; the steps judge those answers themselves.
      const refusal =
        message.location().url === endpoint && message.text().startsWith("Failed to load resource");
      if (message.type() === "error" && !refusal) this.complaints.push(`console: ${message.text()}`);
    });
  }

  async open() {
    const response = await this.page.goto(this.#url);
    assert.equal(response.status(), 200);
    await this.#ready();
  }

  /** The editor is there and the schema has arrived. */
  async #ready() {
    await this.page.locator(".graphiql-query-editor .CodeMirror").waitFor();
    await this.page.locator("[aria-label='Re-fetch GraphQL schema']:enabled").waitFor();
  }

  async reload() {
    await this.page.reload();
    await this.#ready();
  }

  close() {
    return this.#browser.close();
  }

  /** Does `action` within the deadline; a failure names the step and leaves a screenshot. */
  async step(name, action) {
    let timer;
    const deadline = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done in ${STEP_MILLISECONDS} ms`)), STEP_MILLISECONDS);
    });
    try {
      await Promise.race([action(), deadline]);
    } catch (error) {
      const screenshot = await this.#screenshot();
      await this.close();
      const seen = this.complaints.map((complaint) => `\n  browser: ${complaint}`).join("");
      throw new Error(`step "${name}": ${error.message}\n  screenshot: ${screenshot}${seen}`, {
        cause: error,
      });
    } finally {
      clearTimeout(timer);
    }
  }

  async #screenshot() {
    const path = join(tmpdir(), `portico-ide-${process.pid}.png`);
    return this.page.screenshot({ path }).then(
      () => path,
      (error) => `none: ${error.message}`,
    );
  }

  /** What stands in the field of the access token. */
  token() {
    return this.page.getByLabel("Access token").inputValue();
  }

  /** The titles of the tabs, from left to right. */
  tabs() {
    return this.page.locator(".graphiql-tab-button").allTextContents();
  }

  /** Replaces the document in the editor. */
  async write(document) {
    await this.#replace(".graphiql-query-editor", document);
    assert.equal(await this.written(), document);
  }

  written() {
    return this.#lines(".graphiql-query-editor");
  }

  /** Replaces what the headers editor holds. */
  async writeHeaders(json) {
    await this.page.getByRole("button", { name: "Headers", exact: true }).click();
    await this.#replace(".graphiql-editor-tool .graphiql-editor:not(.hidden)", json);
  }

  async #replace(editor, text) {
    await this.page.locator(`${editor} .CodeMirror-scroll`).click();
    await this.page.keyboard.press("Control+A");
    await this.page.keyboard.press("Delete");
    if (text) await this.page.keyboard.insertText(text);
    // The list of suggestions would take the next key.
    await this.page.keyboard.press("Escape");
  }

  async #lines(editor) {
    const lines = await this.page.locator(`${editor} .CodeMirror-line`).allTextContents();
    // The editor draws an empty line as a zero-width space, to give it a height, and keeps spaces from
    // collapsing by making every second one unbreakable.
    return lines.map((line) => line.replace(/\u200b/g, "").replace(/\u00a0/g, " ")).join("\n");
  }

  /** Clicks the example of this name. */
  example(name) {
    const examples = this.page.getByRole("navigation", { name: "Examples" });
    return examples.getByRole("button", { name, exact: true }).click();
  }

  /** Presses the run button; gives the answer once the page shows it as it came. */
  async run() {
    const isAnswer = (response) =>
      new URL(response.url()).pathname === "/graphql" &&
      response.request().postDataJSON()?.operationName !== "IntrospectionQuery";
    const [response] = await Promise.all([
      this.page.waitForResponse(isAnswer),
      this.page.getByRole("button", { name: /^Execute query/ }).click(),
    ]);
    const { extensions, ...answer } = await response.json();
    // What it cost is told below the answer; nothing else is told beside it.
    assert.deepEqual(Object.keys(extensions ?? {}).filter((name) => name !== "cost"), []);
    await this.#shows(answer);
    return answer;
  }

  /** Presses the run button; comes back once the subscription has reached the gateway and is being followed. */
  async follow() {
    const acknowledged = this.page.waitForEvent("websocket").then(async (socket) => {
      await socket.waitForEvent("framesent", ({ payload }) => JSON.parse(payload).type === "subscribe");
    });
    await this.page.getByRole("button", { name: /^Execute query/ }).click();
    await acknowledged;
    await this.page.getByRole("button", { name: /^Stop query/ }).waitFor();
  }

  /** Ends the subscription. */
  stop() {
    return this.page.getByRole("button", { name: /^Stop query/ }).click();
  }

  /** Waits until the answer has this text. */
  async shown(text) {
    const until = Date.now() + ACTION_MILLISECONDS;
    let shown;
    do {
      shown = await this.#lines(".graphiql-response .result-window");
      if (text.test(shown)) return;
      await this.page.waitForTimeout(50);
    } while (Date.now() < until);
    assert.match(shown, text);
  }

  /** Waits until the page shows the answer; of one taller than the window, the lines from its top. */
  async #shows(answer) {
    const expected = JSON.stringify(answer, null, 2).split("\n");
    const until = Date.now() + ACTION_MILLISECONDS;
    let shown;
    do {
      shown = (await this.#lines(".graphiql-response .result-window")).split("\n");
      const enough = shown.length >= Math.min(expected.length, WINDOW_LINES);
      if (enough && shown.every((line, index) => line === expected[index])) return;
      await this.page.waitForTimeout(50);
    } while (Date.now() < until);
    assert.deepEqual(shown, expected, "the page shows the answer as it came");
  }
}
