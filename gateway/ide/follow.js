// Subscriptions: a WebSocket for each, by the protocol graphql-transport-ws. GraphiQL's own way would need another package.
"use strict";

window.Portico = window.Portico || {};

(() => {
  const PROTOCOL = "graphql-transport-ws";
  const ID = "1";

  /** Follows `request` with this access token (or none) until the observer is unsubscribed. What ends it early is told
   *  as an answer with an error, in GraphQL's form. */
  function follow(path, request, token, observer) {
    const url = new URL(path, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url, PROTOCOL);
    const say = (message) => socket.send(JSON.stringify(message));
    let over = false;

    function end(errors) {
      if (over) return;
      over = true;
      socket.close(1000);
      if (errors) observer.next({ errors });
      observer.complete();
    }

    socket.onopen = () => say({ type: "connection_init", payload: token ? { token } : undefined });
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === "connection_ack") say({ type: "subscribe", id: ID, payload: request });
      else if (message.type === "ping") say({ type: "pong" });
      else if (message.type === "next" && !over) observer.next(message.payload);
      else if (message.type === "error") end(message.payload);
      else if (message.type === "complete") end();
    };
    socket.onclose = ({ code, reason }) => {
      const why = reason ? `${code} ${reason}` : code;
      end([{ message: `The socket was closed: ${why}`, extensions: { code: "SOCKET_CLOSED" } }]);
    };
    return () => {
      over = true;
      socket.close(1000);
    };
  }

  Portico.follow = follow;
})();
