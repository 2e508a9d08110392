// The audits of npm's graphql-http, whose authors wrote GraphQL over HTTP: every one must be ok, also those that the
// specification only recommends or permits.
//
//   PORTICO_URL         where the gateway listens
//   PORTICO_NGINX_URL   where nginx listens

import assert from "node:assert/strict";
import { test } from "node:test";
import { serverAudits } from "graphql-http";

// As many as the pinned version has: a newer one may have more, and then somebody should look.
const AUDITS = 61;
const doors = { gateway: process.env.PORTICO_URL, nginx: process.env.PORTICO_NGINX_URL };

for (const [door, url] of Object.entries(doors)) {
  for (const path of ["/graphql", "/query"]) {
    test(`all ${AUDITS} audits of graphql-http are ok at ${path} of the ${door}`, async () => {
      assert.ok(url, `the environment does not say where the ${door} is`);
      const audits = serverAudits({ url: url + path });
      assert.equal(audits.length, AUDITS);
      const failed = [];
      for (const audit of audits) {
        const { status, name, reason } = await audit.fn();
        if (status !== "ok") failed.push(`${audit.id} ${status}: ${name}: ${reason}`);
      }
      assert.deepEqual(failed, []);
    });
  }
}
