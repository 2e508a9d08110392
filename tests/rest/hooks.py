"""What Schemathesis has to be told of Portico: its scalars, and what a fault of ours looks like in the graph."""

import schemathesis
from hypothesis import strategies as st
from schemathesis.graphql import nodes

decimals = st.decimals(min_value=0, max_value=10**12, places=2, allow_nan=False, allow_infinity=False)
texts = st.one_of(decimals.map(str), st.text(max_size=20))
times = st.datetimes().map(lambda time: time.isoformat() + "Z")
schemathesis.graphql.scalar("Decimal", texts.map(nodes.String))
schemathesis.graphql.scalar("DateTime", times.map(nodes.String))


@schemathesis.check
def no_fault_of_ours(context, response, case):
    """No 5xx, no INTERNAL, and an answer in the form of GraphQL."""
    assert response.status_code < 500, f"status {response.status_code}"
    body = response.json()
    assert "data" in body or body.get("errors"), "neither data nor errors"
    for error in body.get("errors", ()):
        assert error["extensions"]["code"] != "INTERNAL", error
        assert error["extensions"]["requestId"], error
