// The access token, the requests that carry it, and what the last answer said. No user interface: ide.js
// subscribes and draws.
"use strict";

window.Portico = window.Portico || {};

(() => {
  const ENDPOINT = "/graphql";
  /** The fields that sign a person in: they bring tokens and need none. */
  const SIGN_IN = ["register", "login", "refreshToken"];
  const STORED_TOKEN = "portico:token";

  const listeners = new Set();
  let state = {
    token: sessionStorage.getItem(STORED_TOKEN) ?? "",
    /** What `readAnswer` made of the last answer that a person asked for; null before the first. */
    answer: null,
    /** Ids from earlier answers, by which the examples follow one another. */
    ids: {},
  };

  function update(change) {
    state = { ...state, ...change };
    for (const listener of listeners) listener();
  }

  /** Takes a token as people paste it: with or without `Bearer`, quotes or line ends around it. */
  function setToken(text) {
    const token = text.replace(/^[\s"]*(bearer\s+)?/i, "").replace(/[\s"]+$/, "");
    sessionStorage.setItem(STORED_TOKEN, token);
    update({ token });
  }

  /** The claims of a JSON web token, unverified: to be shown, never relied on. Null when it is none. */
  function claims(token) {
    const parts = token.split(".");
    if (parts.length !== 3) return null;
    try {
      const bytes = atob(parts[1].replace(/-/g, "+").replace(/_/g, "/"));
      const json = new TextDecoder().decode(Uint8Array.from(bytes, (char) => char.charCodeAt(0)));
      const value = JSON.parse(json);
      return value && typeof value === "object" ? value : null;
    } catch {
      return null;
    }
  }

  /** Top-level fields that brought an access token: [{ field, token, email }]. */
  function tokensIn(data) {
    return Object.entries(data ?? {})
      .filter(([, value]) => typeof value?.token === "string" && claims(value.token))
      .map(([field, value]) => ({ field, token: value.token, email: value.user?.email ?? null }));
  }

  /** The ids that the next examples need; what an answer does not bring stays as it was. */
  function idsIn(data, known) {
    return {
      orderId: data?.createOrder?.id ?? known.orderId,
      paymentId: data?.createPayment?.id ?? known.paymentId,
    };
  }

  function readAnswer(body, facts) {
    const errors = (Array.isArray(body.errors) ? body.errors : []).map((error) => ({
      message: String(error?.message ?? ""),
      code: error?.extensions?.code ?? null,
      reason: error?.extensions?.reason ?? null,
      requestId: error?.extensions?.requestId ?? null,
      field: error?.path?.[0] ?? null,
    }));
    const needsToken = errors.some(
      ({ code, field }) => code === "UNAUTHENTICATED" && !SIGN_IN.includes(field),
    );
    return { ...facts, errors, needsToken, tokens: tokensIn(body.data) };
  }

  /** Takes what the answer cost out of it: it is told below the answer, and is no part of what was asked for. */
  function takeCost(body) {
    const { cost, ...others } = body.extensions ?? {};
    if (Object.keys(others).length > 0) body.extensions = others;
    else delete body.extensions;
    return typeof cost?.requested === "number" ? { requested: cost.requested, limit: cost.limit } : null;
  }

  /** An answer in GraphQL's form for what is none: a proxy's error page, or no connection at all. */
  function failure(message, code) {
    return { errors: [{ message, extensions: { code } }] };
  }

  function parse(text, status) {
    try {
      const body = JSON.parse(text);
      if (body && typeof body === "object") return body;
    } catch {
      // Not JSON: told below, with the status, which says more than the parser's message.
    }
    return failure(`HTTP ${status}, and the answer is not JSON: ${text.slice(0, 200)}`, "NOT_GRAPHQL");
  }

  /** The headers editor wins: who writes an Authorization there means it. */
  function withToken(headers) {
    const named = Object.keys(headers).some((name) => name.toLowerCase() === "authorization");
    return state.token && !named ? { ...headers, Authorization: `Bearer ${state.token}` } : headers;
  }

  async function send(url, options) {
    const started = performance.now();
    let body;
    let facts;
    try {
      const headers = { ...withToken(options.headers ?? {}), "X-Portico-Cost": "1" };
      const response = await fetch(url, { ...options, headers });
      const text = await response.text();
      body = parse(text, response.status);
      facts = { status: response.status, bytes: new Blob([text]).size, cost: takeCost(body) };
    } catch (error) {
      body = failure(`No answer from the gateway: ${error.message}`, "NO_CONNECTION");
      facts = { status: null, bytes: 0 };
    }
    // GraphiQL's own question for the schema is no answer that anybody waits for.
    if (JSON.parse(options.body).operationName !== "IntrospectionQuery") {
      const milliseconds = Math.round(performance.now() - started);
      update({ answer: readAnswer(body, { ...facts, milliseconds }), ids: idsIn(body.data, state.ids) });
    }
    return new Response(JSON.stringify(body));
  }

  const fetchAnswer = GraphiQL.createFetcher({
    url: ENDPOINT,
    fetch: send,
    enableIncrementalDelivery: false,
  });

  /** An operation that streams, in the form that GraphiQL takes: every event is an answer. */
  function stream(request, headers) {
    const named = Object.entries(withToken(headers ?? {})).find(([name]) => name.toLowerCase() === "authorization");
    const token = named?.[1].replace(/^bearer\s+/i, "");
    return {
      subscribe(observer) {
        const started = performance.now();
        let events = 0;
        const told = {
          next(body) {
            if (!body.errors) events += 1;
            const milliseconds = Math.round(performance.now() - started);
            const bytes = new Blob([JSON.stringify(body)]).size;
            update({ answer: readAnswer(body, { status: 101, events, bytes, milliseconds }) });
            observer.next(body);
          },
          complete: () => observer.complete(),
        };
        return { unsubscribe: Portico.follow(ENDPOINT, request, token, told) };
      },
    };
  }

  /** GraphiQL reads the operation's name 100 ms after the last key: who pastes a document and runs it at once
   *  would ask for an operation of the one before. So the name is held against the document that is sent. */
  function fetcher(request, options) {
    let document;
    try {
      document = GraphiQL.GraphQL.parse(request.query);
    } catch {
      return fetchAnswer(request, options); // The gateway tells where the document breaks.
    }
    const operations = document.definitions.filter(({ kind }) => kind === "OperationDefinition");
    const names = operations.map(({ name }) => name?.value);
    const operationName = names.includes(request.operationName ?? undefined)
      ? request.operationName
      : names[0];
    const { operation } = operations[names.indexOf(operationName)] ?? {};
    if (operation === "subscription") return stream({ ...request, operationName }, options?.headers);
    return fetchAnswer({ ...request, operationName }, { ...options, documentAST: document });
  }

  Portico.session = {
    /** The state now; a new object after each change. */
    get: () => state,
    /** Calls `listener` after each change; gives the function that ends it. */
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    setToken,
    claims,
    fetcher,
  };
})();
