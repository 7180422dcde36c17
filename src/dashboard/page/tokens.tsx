import { useState } from "hono/jsx/dom";
import type { List, NewTokenJson, Scope, TokenJson } from "../../http/admin/shapes.ts";
import { api } from "./api.ts";
import { Code, Failed, Loading, Time, useLoaded } from "./ui.tsx";

const SCOPES: readonly { readonly scope: Scope; readonly what: string }[] = [
  { scope: "read", what: "read: see everything" },
  { scope: "steer", what: "steer: apply, replay, discard, tokens" },
  { scope: "forget", what: "forget: erase payloads" },
];

const DAY = 86_400_000;

export function Tokens({ mayAct, me }: { readonly mayAct: boolean; readonly me: string }) {
  const loaded = useLoaded<List<TokenJson>>("tokens", api.tokens);
  const [created, setCreated] = useState<NewTokenJson | undefined>(undefined);
  const [error, setError] = useState<unknown>(undefined);
  const run = (work: Promise<unknown>): void => {
    setError(undefined);
    work.then(loaded.again, (cause: unknown) => setError(cause));
  };
  const items = loaded.value?.items;
  return (
    <section class="card" aria-labelledby="tokens-title">
      <h2 id="tokens-title">Tokens</h2>
      {loaded.error === undefined ? null : <Failed error={loaded.error} again={loaded.again} />}
      {error === undefined ? null : <Failed error={error} />}
      {created === undefined ? null : (
        <div class="created" role="status">
          <p>
            <strong>{created.name}</strong> is shown this once:
          </p>
          <Code text={created.token} />
        </div>
      )}
      {items === undefined ? (
        loaded.error === undefined ? (
          <Loading what="tokens" />
        ) : null
      ) : (
        <ul class="bare tokens">
          {items.map((one) => (
            <li key={one.name}>
              <Token
                token={one}
                isMine={one.name === me}
                mayAct={mayAct}
                onRevoke={() => run(api.revokeToken(one.name))}
              />
            </li>
          ))}
        </ul>
      )}
      {mayAct ? (
        <NewToken
          onCreate={(name, scopes, expires) =>
            run(api.createToken(name, scopes, expires).then((token) => setCreated(token)))
          }
        />
      ) : null}
    </section>
  );
}

function Token(props: {
  readonly token: TokenJson;
  readonly isMine: boolean;
  readonly mayAct: boolean;
  readonly onRevoke: () => void;
}) {
  const { name, scopes, created_at: created, expires_at: expires, revoked_at: revoked } = props.token;
  const [isSure, setSure] = useState(false);
  return (
    <>
      <span>
        <strong>{name}</strong>
        {props.isMine ? " (yours)" : ""} <span class="quiet">{scopes.join(", ")} · made</span>{" "}
        <Time at={created} />
        {expires === null ? null : (
          <>
            {" "}
            <span class="quiet">· until</span> <Time at={expires} />
          </>
        )}
        {revoked === null ? null : <span class="outcome quiet"> = revoked</span>}
      </span>
      {revoked === null && props.mayAct ? (
        <button
          type="button"
          class={isSure ? "small danger" : "small"}
          onClick={() => (isSure ? props.onRevoke() : setSure(true))}
          onBlur={() => setSure(false)}
        >
          {isSure ? `Revoke ${name}` : "Revoke…"}
        </button>
      ) : null}
    </>
  );
}

function NewToken(props: {
  readonly onCreate: (name: string, scopes: readonly Scope[], expires: number | null) => void;
}) {
  const submit = (event: Event): void => {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    const data = new FormData(form);
    const days = Number(data.get("days"));
    const name = data.get("name");
    props.onCreate(
      typeof name === "string" ? name : "",
      data.getAll("scopes") as Scope[],
      days === 0 ? null : Date.now() + days * DAY,
    );
    form.reset();
  };
  return (
    <details>
      <summary>Make a token</summary>
      <form class="new-token" onSubmit={submit}>
        <label>
          Name
          <input name="name" required maxLength={64} pattern="[A-Za-z0-9]([A-Za-z0-9_.\-]*[A-Za-z0-9])?" />
        </label>
        <fieldset>
          <legend>It may</legend>
          {SCOPES.map(({ scope, what }) => (
            <label class="check">
              <input type="checkbox" name="scopes" value={scope} checked={scope === "read"} /> {what}
            </label>
          ))}
        </fieldset>
        <label>
          It works
          <select name="days">
            <option value="0">until it is revoked</option>
            <option value="90">for 90 days</option>
            <option value="7">for 7 days</option>
            <option value="1">for a day</option>
          </select>
        </label>
        <button class="primary">Make the token</button>
      </form>
    </details>
  );
}
