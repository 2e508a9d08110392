// The example documents, in the order of a first visit: sign in, shop, pay, read back, follow.
//
// `variables` gets the ids that earlier answers brought (see session.js), so that the examples follow one
// another without copying: createOrder's id is the next createPayment's.
"use strict";

window.Portico = window.Portico || {};

Portico.welcome = `# Portico: users, orders and payments in one graph.
#
# The buttons above open an example each.
# Ctrl+Enter (Cmd+Enter) runs what is written here.
#
# What belongs to a person needs a token: run register
# or login, then press "Use the token of this answer".
# This one needs none:

query Products {
  products(limit: 10) {
    data { id name unitPrice currency }
    pageInfo { total hasMore }
  }
}
`;

Portico.exampleGroups = [
  {
    title: "Sign in",
    examples: [
      {
        name: "register",
        hint: "Make an account, and get its first token",
        query: `mutation Register {
  register(input: {
    email: "alan@example.com"
    password: "violet-harbour-93-lantern"
    firstName: "Alan"
    lastName: "Turing"
  }) {
    token
    user { id email fullName }
  }
}
`,
      },
      {
        name: "login",
        hint: "Get an access token; this account stands in every system in development",
        query: `mutation Login {
  login(input: {
    email: "ada@example.com"
    password: "demo-customer-4711"
  }) {
    token
    refreshToken
    expiresAt
    user { id email }
  }
}
`,
      },
    ],
  },
  {
    title: "Shop",
    examples: [
      {
        name: "products",
        hint: "What can be bought; needs no token",
        query: `query Products {
  products(limit: 10) {
    data { id name unitPrice currency }
    pageInfo { total hasMore }
  }
}
`,
      },
      {
        name: "createOrder",
        hint: "Order a laptop; prices and totals are the server's",
        query: `mutation CreateOrder {
  createOrder(input: {
    shippingAddress: "12 St James's Square, London"
    notes: "Please ring twice"
    items: [{ productId: "prod-1", quantity: 1 }]
  }) {
    id
    status
    totalAmount
    items { productName quantity unitPrice }
  }
}
`,
      },
    ],
  },
  {
    title: "Pay",
    examples: [
      {
        name: "createPayment",
        hint: "The payment of your last order",
        query: `mutation CreatePayment($orderId: ID!) {
  createPayment(input: { orderId: $orderId }) {
    id
    status
    amount
  }
}
`,
        variables: ({ orderId }) => ({ orderId: orderId ?? "the id that createOrder gave" }),
      },
      {
        name: "processPayment",
        hint: "Pay it with the sandbox's Visa card",
        query: `mutation ProcessPayment($paymentId: ID!) {
  processPayment(input: { paymentId: $paymentId, token: "tok_visa" }) {
    id
    status
    amount
  }
}
`,
        variables: ({ paymentId }) => ({ paymentId: paymentId ?? "the id that createPayment gave" }),
      },
    ],
  },
  {
    title: "Read back",
    examples: [
      {
        name: "orders",
        hint: "Orders with their buyer and their payment, from three services",
        query: `query Orders {
  orders(limit: 10) {
    data {
      id
      status
      totalAmount
      user { id email fullName }
      payment { id status amount }
    }
    pageInfo { total hasMore endCursor }
  }
}
`,
      },
      {
        name: "me",
        hint: "Who the token belongs to, and what they ordered",
        query: `query Me {
  me {
    id
    email
    firstName
    lastName
    orders {
      id
      status
      totalAmount
      items { productName quantity }
    }
  }
}
`,
      },
    ],
  },
  {
    title: "Follow",
    examples: [
      {
        name: "orderStatusChanged",
        hint: "Your orders as they move on: leave it running here, and pay one in another window",
        query: `subscription OrderStatusChanged {
  orderStatusChanged {
    eventId
    from
    to
    order { id totalAmount payment { status } }
  }
}
`,
      },
      {
        name: "paymentUpdated",
        hint: "What happens to your payments",
        query: `subscription PaymentUpdated {
  paymentUpdated {
    eventId
    kind
    payment { id status amount failureReason }
  }
}
`,
      },
    ],
  },
];
