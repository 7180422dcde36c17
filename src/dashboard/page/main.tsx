import { render, useEffect, useState } from "hono/jsx/dom";
import type { StatusJson } from "../../http/admin/shapes.ts";
import { api } from "./api.ts";
import { Destinations } from "./destinations.tsx";
import { Events } from "./events.tsx";
import { Failures } from "./failures.tsx";
import { Home } from "./home.tsx";
import { JobDialog, useJobDialog } from "./job-dialog.tsx";
import { Link, usePlace, type View } from "./location.tsx";
import { Login } from "./login.tsx";
import { Sources } from "./sources.tsx";
import { Failed, Loading, LOGGED_OUT, useLoaded } from "./ui.tsx";
import { sumOf } from "./words.ts";

const NAMES: readonly { readonly view: View; readonly path: string; readonly name: string }[] = [
  { view: "home", path: "/", name: "Home" },
  { view: "events", path: "/events", name: "Events" },
  { view: "failures", path: "/failures", name: "Failures" },
  { view: "destinations", path: "/destinations", name: "Destinations" },
  { view: "sources", path: "/sources", name: "Sources" },
];

function App() {
  const [loggedIn, setLoggedIn] = useState(true);
  useEffect(() => {
    const leave = (): void => setLoggedIn(false);
    addEventListener(LOGGED_OUT, leave);
    return () => removeEventListener(LOGGED_OUT, leave);
  }, []);
  return loggedIn ? (
    <Shell onLogout={() => setLoggedIn(false)} />
  ) : (
    <Login onLogin={() => setLoggedIn(true)} />
  );
}

function Shell({ onLogout }: { readonly onLogout: () => void }) {
  const { view, params } = usePlace();
  const status = useLoaded<StatusJson>("status", api.status, 5000);
  const { value } = status;
  const name = NAMES.find((one) => one.view === view)?.name ?? "Home";
  useEffect(() => {
    document.title = view === "home" ? "hookonce" : `${name} · hookonce`;
  }, [view]);
  return (
    <div class="shell">
      <a class="skip" href="#content">
        Skip to content
      </a>
      <header>
        <Link to="/" class="logo" label="hookonce, home">
          hookonce
        </Link>
        <nav aria-label="Pages">
          {NAMES.map((one) => (
            <Link to={one.path} current={one.view === view}>
              {one.name}
              {one.view === "failures" ? <Owed status={value} /> : null}
            </Link>
          ))}
        </nav>
        <button
          type="button"
          class="plain"
          onClick={() => {
            void api.logout().finally(onLogout);
          }}
        >
          Log out
        </button>
      </header>
      <main id="content" tabIndex={-1}>
        {status.error !== undefined && value !== undefined ? (
          <Failed error={status.error} again={status.again} />
        ) : null}
        {value === undefined ? (
          status.error === undefined ? (
            <Loading what="the inbox" />
          ) : (
            <Failed error={status.error} again={status.again} />
          )
        ) : (
          <Page view={view} params={params} status={value} again={status.again} />
        )}
      </main>
    </div>
  );
}

function Owed({ status }: { readonly status: StatusJson | undefined }) {
  const failed = status?.owed.filter(({ outcome }) => outcome === "failed") ?? [];
  if (failed.length === 0) return null;
  return (
    <span class="badge">
      {sumOf(failed)}
      <span class="unseen"> failed</span>
    </span>
  );
}

interface PageProps {
  readonly view: View;
  readonly params: URLSearchParams;
  readonly status: StatusJson;
  readonly again: () => void;
}

function Page({ view, params, status, again }: PageProps) {
  const dialog = useJobDialog();
  const shared = { status, act: dialog.open };
  return (
    <>
      {view === "home" ? <Home {...shared} again={again} /> : null}
      {view === "events" ? <Events {...shared} params={params} settled={dialog.settled} /> : null}
      {view === "failures" ? <Failures {...shared} settled={dialog.settled} /> : null}
      {view === "destinations" ? (
        <Destinations {...shared} params={params} settled={dialog.settled} again={again} />
      ) : null}
      {view === "sources" ? <Sources status={status} again={again} /> : null}
      {dialog.act === undefined ? null : (
        <JobDialog key={dialog.turn} act={dialog.act} onSettled={again} onClose={dialog.close} />
      )}
    </>
  );
}

render(<App />, document.querySelector("#page") as HTMLElement);
