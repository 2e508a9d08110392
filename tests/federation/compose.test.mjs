// Portico's graph as one of several: the committed schema.graphql is composed with a second subgraph by the
// rules of Apollo Federation 2, as a router would before it serves both.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { composeServices } from "@theguild/federation-composition";
import { buildSchema, parse } from "graphql";

const portico = readFileSync(new URL("../../schema.graphql", import.meta.url), "utf8");

const LINK = `extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])`;

// What another team could write: reviews of products by users, and support cases of orders and payments.
const reviews = `${LINK}
  type Query { topReviews(first: Int!): [Review!]! }
  type Review @key(fields: "id") { id: ID! stars: Int! text: String! author: User! product: Product! }
  type User @key(fields: "id") { id: ID! reviews: [Review!]! }
  type Product @key(fields: "id") { id: ID! reviews: [Review!]! }
  type Order @key(fields: "id") { id: ID! supportCases: [String!]! }
  type Payment @key(fields: "id") { id: ID! supportCases: [String!]! }
`;

/** For each entity: a field that Portico answers, and one that the other subgraph answers. */
const ENTITIES = {
  User: ["email", "reviews"],
  Product: ["unitPrice", "reviews"],
  Order: ["totalAmount", "supportCases"],
  Payment: ["amount", "supportCases"],
};

function compose(other) {
  return composeServices([
    { name: "portico", url: "http://portico.test/graphql", typeDefs: parse(portico) },
    { name: "reviews", url: "http://reviews.test/graphql", typeDefs: parse(other) },
  ]);
}

const codesOf = ({ errors }) => (errors ?? []).map(({ extensions }) => extensions?.code);

/** The supergraph, or a failure that quotes the composition's complaints. */
function composed(other) {
  const { errors, supergraphSdl, publicSdl } = compose(other);
  assert.deepEqual(
    (errors ?? []).map(({ message }) => message),
    [],
  );
  return { supergraph: parse(supergraphSdl), api: buildSchema(publicSdl) };
}

/** The arguments of every directive of one name on a node of the supergraph: [{ graph: "PORTICO", key: "id" }]. */
function directives(node, name) {
  return node.directives
    .filter((directive) => directive.name.value === name)
    .map((directive) =>
      Object.fromEntries(directive.arguments.map(({ name, value }) => [name.value, value.value])),
    );
}

const typeOf = (supergraph, name) =>
  supergraph.definitions.find((node) => node.kind === "ObjectTypeDefinition" && node.name.value === name);

for (const [entity, [own, others]] of Object.entries(ENTITIES)) {
  test(`${entity} is resolved by its id in both subgraphs, each with the fields that it owns`, () => {
    const { supergraph, api } = composed(reviews);
    const type = typeOf(supergraph, entity);
    const keys = directives(type, "join__type")
      .filter(({ key }) => key === "id")
      .map(({ graph }) => graph);
    assert.deepEqual(keys.sort(), ["PORTICO", "REVIEWS"]);

    const graphOf = (field) => {
      const node = type.fields.find(({ name }) => name.value === field);
      assert.ok(node, `${entity}.${field} is in the supergraph`);
      return directives(node, "join__field").map(({ graph }) => graph);
    };
    assert.deepEqual(graphOf(own), ["PORTICO"]);
    assert.deepEqual(graphOf(others), ["REVIEWS"]);
    assert.ok(Object.keys(api.getType(entity).getFields()).includes(others), "clients see the joined field");
  });
}

test("the supergraph keeps every query and mutation of Portico", () => {
  const { api } = composed(reviews);
  for (const root of ["Query", "Mutation"]) {
    const own = parse(portico).definitions.find((node) => node.name?.value === root);
    const fields = Object.keys(api.getType(root).getFields());
    const missing = own.fields.map(({ name }) => name.value).filter((name) => !fields.includes(name));
    // Federation's own fields serve the router, and are not offered to clients.
    assert.deepEqual(
      missing.filter((name) => !["_service", "_entities"].includes(name)),
      [],
    );
  }
});

test("a subgraph whose key names a field that it lacks does not compose", () => {
  const wrong = reviews.replace('type User @key(fields: "id")', 'type User @key(fields: "nickname")');
  assert.deepEqual(codesOf(compose(wrong)), ["KEY_INVALID_FIELDS"]);
});

test("a subgraph that knows an order by a key that Portico does not resolve does not compose", () => {
  const wrong = reviews
    .replace('type Order @key(fields: "id") { id: ID!', 'type Order @key(fields: "number") { number: Int!')
    .replace("type Query {", "type Query { disputed: [Order!]!");
  const codes = codesOf(compose(wrong));
  assert.ok(codes.length > 0 && codes.every((code) => code === "SATISFIABILITY_ERROR"), String(codes));
});
