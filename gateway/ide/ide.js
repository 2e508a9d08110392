// What is seen: the bar above GraphiQL (examples, token, colours) and the line below an answer.
"use strict";

// GraphiQL's dialogs put a style element into the page; the page's policy asks for the nonce on it.
window.__webpack_nonce__ = document.currentScript.nonce;

(() => {
  const { createElement: h, Fragment, useEffect, useState, useSyncExternalStore } = React;
  const { session, exampleGroups, welcome } = Portico;
  const { useEditorContext, useExecutionContext } = GraphiQL.React;

  const THEMES = ["system", "light", "dark"];
  const STORED_THEME = "portico:theme";

  const useSession = () => useSyncExternalStore(session.subscribe, session.get);

  // --- Examples -------------------------------------------------------------------------------------

  /** Brings the example to the front, in a tab of its own: a document that a person wrote stays where it is. */
  function openExample(example, editor, execution) {
    const written = editor.queryEditor.getValue();
    const untouched = editor.tabs.findIndex(
      (tab, index) => (index === editor.activeTabIndex ? written : tab.query) === example.query,
    );
    const reusable = untouched === -1 && (written.trim() === "" || written === welcome);
    execution.stop();
    // The editors' contents change with the tab, so the tab must have changed before we fill them.
    ReactDOM.flushSync(() => {
      if (untouched !== -1 && untouched !== editor.activeTabIndex) editor.changeTab(untouched);
      else if (untouched === -1 && !reusable) editor.addTab();
    });
    if (untouched === -1) {
      editor.queryEditor.setValue(example.query);
      // Names the tab at once: GraphiQL does it 100 ms later, which shows as a flicker.
      editor.updateActiveTabValues({ query: example.query, operationName: null });
    }
    if (example.variables) {
      const variables = example.variables(session.get().ids);
      editor.variableEditor.setValue(JSON.stringify(variables, null, 2));
    } else if (reusable) {
      editor.variableEditor.setValue("");
    }
    editor.queryEditor.focus();
  }

  function Examples() {
    const editor = useEditorContext({ nonNull: true });
    const execution = useExecutionContext({ nonNull: true });
    const button = (example) =>
      h(
        "button",
        {
          key: example.name,
          type: "button",
          title: example.hint,
          disabled: !editor.queryEditor || !editor.variableEditor,
          onClick: () => openExample(example, editor, execution),
        },
        example.name,
      );
    return h(
      "nav",
      { className: "portico-examples", "aria-label": "Examples" },
      exampleGroups.map(({ title, examples }, index) =>
        h(
          "div",
          { key: title, className: "portico-group", role: "group", "aria-label": title },
          h("span", { className: "portico-step", "aria-hidden": true }, index + 1),
          h("span", { className: "portico-group-title", "aria-hidden": true }, title),
          examples.map(button),
        ),
      ),
    );
  }

  // --- The token ------------------------------------------------------------------------------------

  /** What the token says of itself, in a few words, and how it stands. */
  function describeToken(token, now) {
    if (!token) return { standing: "none", text: "No token: you are a guest" };
    const claims = session.claims(token);
    if (!claims) return { standing: "bad", text: "This is not an access token" };
    const seconds = typeof claims.exp === "number" ? claims.exp - now / 1000 : Infinity;
    const role = typeof claims.role === "string" ? claims.role : "Signed in";
    if (seconds <= 0) return { standing: "bad", text: `${role} · expired: log in again` };
    if (seconds === Infinity) return { standing: "good", text: role };
    const left = seconds < 90 ? `${Math.ceil(seconds)} s left` : `${Math.round(seconds / 60)} min left`;
    return { standing: seconds < 90 ? "soon" : "good", text: `${role} · ${left}` };
  }

  function useClock(everyMilliseconds) {
    const [now, setNow] = useState(Date.now);
    useEffect(() => {
      const timer = setInterval(() => setNow(Date.now()), everyMilliseconds);
      return () => clearInterval(timer);
    }, [everyMilliseconds]);
    return now;
  }

  function Token() {
    const { token } = useSession();
    useClock(5000);
    const { standing, text } = describeToken(token, Date.now());
    return h(
      "div",
      { className: "portico-token" },
      h("label", { htmlFor: "access-token" }, "Access token"),
      h("input", {
        id: "access-token",
        type: "text",
        value: token,
        placeholder: "Run login and use its token, or paste one",
        autoComplete: "off",
        autoCapitalize: "off",
        spellCheck: false,
        "aria-describedby": "token-standing",
        onChange: (event) => session.setToken(event.target.value),
        onFocus: (event) => event.target.select(),
      }),
      token &&
        h(
          "button",
          {
            type: "button",
            className: "portico-clear",
            title: "Be a guest again",
            onClick: () => session.setToken(""),
          },
          "Clear",
        ),
      h(
        "span",
        { id: "token-standing", role: "status", className: `portico-standing portico-standing-${standing}` },
        text,
      ),
    );
  }

  // --- Colours --------------------------------------------------------------------------------------

  function Theme({ theme, onChange }) {
    return h(
      "div",
      { className: "portico-theme", role: "radiogroup", "aria-label": "Colours" },
      THEMES.map((name) =>
        h(
          "button",
          {
            key: name,
            type: "button",
            role: "radio",
            "aria-checked": name === theme,
            onClick: () => onChange(name),
          },
          name[0].toUpperCase() + name.slice(1),
        ),
      ),
    );
  }

  // --- The line below an answer ---------------------------------------------------------------------

  /** Equal errors once, with how often: a page of nulls has one cause, not a hundred. */
  function groupErrors(errors) {
    const groups = new Map();
    for (const error of errors) {
      const key = JSON.stringify([error.code, error.reason]);
      groups.set(key, { ...error, count: (groups.get(key)?.count ?? 0) + 1 });
    }
    return [...groups.values()];
  }

  function ErrorLine({ code, reason, message, field, requestId, count }) {
    return h(
      "div",
      { className: "portico-error" },
      h("strong", null, code ?? "ERROR"),
      reason && h("code", null, reason),
      // Of a whole request that was refused: which limit it was, and how far beyond.
      field === null && h("span", null, message),
      count > 1 && h("span", null, `${count} times`),
      requestId &&
        h("span", { className: "portico-request", title: "Finds the log line" }, `request ${requestId}`),
    );
  }

  function TokenOffer({ field, token, email }) {
    const inUse = useSession().token === token;
    return h(
      "div",
      { className: "portico-offer" },
      h("span", null, h("code", null, field), " answered with an access token", email && ` for ${email}`),
      inUse
        ? h("span", { className: "portico-in-use" }, "✓ in use")
        : h(
            "button",
            { type: "button", onClick: () => session.setToken(token) },
            "Use the token of this answer",
          ),
    );
  }

  /** The last answer that came while the tab in front was in front. */
  function useAnswerOfTab() {
    const { answer } = useSession();
    const { tabs, activeTabIndex } = useEditorContext({ nonNull: true });
    const tab = tabs[activeTabIndex]?.id;
    const [answers, setAnswers] = useState({});
    useEffect(() => {
      if (answer) setAnswers((others) => ({ ...others, [tab]: answer }));
      // The tab is left out on purpose: going to another one brings no answer there.
    }, [answer]);
    return answers[tab] ?? null;
  }

  function AnswerLine() {
    const answer = useAnswerOfTab();
    if (!answer) return h("div", { className: "portico-answer" }, "Answers appear here");
    const standing = answer.errors.length > 0 || answer.status === null ? "bad" : "good";
    const way = answer.events === undefined ? `HTTP ${answer.status}` : `event ${answer.events}`;
    const facts = [
      answer.status === null ? "no connection" : way,
      `${answer.milliseconds} ms`,
      `${answer.bytes.toLocaleString("en")} bytes`,
    ];
    if (answer.cost) {
      const { requested, limit } = answer.cost;
      facts.push(`cost ${requested.toLocaleString("en")} of ${limit.toLocaleString("en")}`);
    }
    return h(
      "div",
      { className: "portico-answer", role: "status" },
      answer.tokens.map((offer) => h(TokenOffer, { key: offer.field, ...offer })),
      groupErrors(answer.errors).map((error, index) => h(ErrorLine, { key: index, ...error })),
      answer.needsToken &&
        h("div", { className: "portico-hint" }, "Run login or register, then use the token of its answer."),
      h(
        "div",
        { className: "portico-facts" },
        h("span", { className: `portico-dot portico-standing-${standing}`, "aria-hidden": true }),
        standing === "good"
          ? "Answered"
          : `${answer.errors.length} error${answer.errors.length === 1 ? "" : "s"}`,
        ` · ${facts.join(" · ")}`,
      ),
    );
  }

  // --- The page -------------------------------------------------------------------------------------

  /** Whether the reader's system is dark now; follows it when it changes. */
  function useSystemDark() {
    const [query] = useState(() => matchMedia("(prefers-color-scheme: dark)"));
    return useSyncExternalStore(
      (changed) => {
        query.addEventListener("change", changed);
        return () => query.removeEventListener("change", changed);
      },
      () => query.matches,
    );
  }

  /** The bar is drawn from inside GraphiQL, to reach its editors, and shown in the page's header. */
  function Bar({ theme, onTheme }) {
    const parts = h(Fragment, null, h(Token), h(Theme, { theme, onChange: onTheme }), h(Examples));
    return ReactDOM.createPortal(parts, document.getElementById("bar"));
  }

  function App() {
    const [theme, setTheme] = useState(() => {
      const stored = localStorage.getItem(STORED_THEME);
      return THEMES.includes(stored) ? stored : "system";
    });
    const systemTheme = useSystemDark() ? "dark" : "light";
    const changeTheme = (name) => {
      localStorage.setItem(STORED_THEME, name);
      setTheme(name);
    };
    return h(
      GraphiQL,
      {
        fetcher: session.fetcher,
        forcedTheme: theme === "system" ? systemTheme : theme,
        defaultTabs: [{ query: welcome }],
        defaultQuery: "",
        defaultEditorToolsVisibility: "variables",
        inputValueDeprecation: true,
      },
      h(GraphiQL.Logo, null, ""),
      h(GraphiQL.Footer, null, h(AnswerLine)),
      h(Bar, { theme, onTheme: changeTheme }),
    );
  }

  ReactDOM.createRoot(document.getElementById("ide")).render(h(App));
})();
