import type { Child } from "hono/jsx";
import { useState } from "hono/jsx/dom";
import type { List, RefusedJson, SourceJson, StatusJson, VerdictJson } from "../../http/admin/shapes.ts";
import { api } from "./api.ts";
import { Audit } from "./audit.tsx";
import { Jobs } from "./job-list.tsx";
import { Link } from "./location.tsx";
import { Reload } from "./reload.tsx";
import { SourceState } from "./source-state.tsx";
import { Tokens } from "./tokens.tsx";
import { Code, Empty, Failed, messageOf, Time, useLoaded } from "./ui.tsx";
import { ago, bytesText, count, retentionText, visible } from "./words.ts";

interface SourcesProps {
  readonly status: StatusJson;
  /** Reads the status again. */
  readonly again: () => void;
}

export function Sources({ status, again }: SourcesProps) {
  const { sources, paused, disk, retention, version, now, serving, nodes } = status;
  const mayAct = status.actor.scopes.includes("steer");
  const gone = paused.filter(({ name }) => sources.every((one) => one.name !== name));
  return (
    <div class="sources">
      <h1>Sources</h1>
      {sources.length === 0 ? (
        <Empty title="No source yet">
          <Code text="hookonce add stripe" />
        </Empty>
      ) : null}
      {sources.map((source) => (
        <Source key={source.name} source={source} now={now}>
          <SourceState
            name={source.name}
            paused={paused.find(({ name }) => name === source.name)}
            {...{ now, mayAct, again }}
          />
        </Source>
      ))}
      {gone.map((one) => (
        <section key={one.name} class="card source-card" aria-labelledby={`source-${one.name}`}>
          <h2 id={`source-${one.name}`}>
            {visible(one.name)} <span class="quiet">not in hookonce.toml any more</span>
          </h2>
          <SourceState name={one.name} paused={one} {...{ now, mayAct, again }} />
        </section>
      ))}
      <Tokens mayAct={mayAct} me={status.actor.name} />
      <Jobs mayAct={mayAct} />
      <Audit />
      {nodes.length < 2 ? null : <Nodes {...{ nodes, now }} />}
      <section id="machine" class="card" aria-labelledby="machine-title">
        <h2 id="machine-title">This hookonce</h2>
        <dl class="pairs">
          <div>
            <dt>Version</dt>
            <dd>{version}</dd>
          </div>
          {serving === null ? null : (
            <div>
              <dt>Running since</dt>
              <dd>
                <Time at={serving.started_at} />
              </dd>
            </div>
          )}
          {serving === null ? null : (
            <div>
              <dt>Loaded</dt>
              <dd>
                <Time at={serving.loaded_at} />
              </dd>
            </div>
          )}
          <div>
            <dt>Database</dt>
            <dd>
              {disk.database}, {bytesText(disk.database_bytes)}
              {disk.log_bytes === null ? null : ` and a log of ${bytesText(disk.log_bytes)}`}
            </dd>
          </div>
          <div>
            <dt>Retention</dt>
            <dd>{retentionText(retention)}</dd>
          </div>
          {disk.free_bytes === null ? null : (
            <div>
              <dt>Free on its disk</dt>
              <dd>{bytesText(disk.free_bytes)}</dd>
            </div>
          )}
        </dl>
        {mayAct && serving !== null ? <Reload again={again} /> : null}
      </section>
    </div>
  );
}

/** Refused deliveries, and deliveries that wait for the disk, are those of the node that shows this page. */
function Nodes({ nodes, now }: Pick<StatusJson, "nodes" | "now">) {
  return (
    <section id="nodes" class="card" aria-labelledby="nodes-title">
      <h2 id="nodes-title">Nodes</h2>
      <dl class="pairs">
        {nodes.map(({ name, version, config, handlers, last_seen_at: seenAt, silent }) => (
          <div key={name}>
            <dt>{visible(name)}</dt>
            <dd>
              {version === null
                ? "is starting"
                : `hookonce ${version}, config ${config}, handlers ${handlers}`}
              , <span class={silent ? "outcome owed" : "quiet"}>last seen {ago(seenAt, now)}</span>
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Source({
  source,
  now,
  children,
}: {
  readonly source: SourceJson;
  readonly now: number;
  readonly children: Child;
}) {
  const {
    name,
    title,
    docs,
    url,
    last_delivery_at: last,
    handlers,
    prefix_handlers: begins,
    secrets,
  } = source;
  return (
    <section class="card source-card" aria-labelledby={`source-${name}`}>
      <h2 id={`source-${name}`}>
        {name} <span class="quiet">{title}</span>
      </h2>
      {children}
      {last === null ? (
        <div class="waiting" role="status">
          <p>
            <span class="outcome owed">○ Waiting for the first delivery…</span> Give {title} the address
            below, or send a made-up event:
          </p>
          <Code text={`hookonce send ${name}`} />
        </div>
      ) : (
        <p>
          <span class="outcome good">✓ Last delivery {ago(last, now)}</span>, {count(source.last_hour)} in the
          last hour. <Link to={`/events?source=${encodeURIComponent(name)}`}>Show its events</Link>
        </p>
      )}
      <dl class="pairs">
        <div>
          <dt>Address</dt>
          <dd>
            <Code text={url} />
          </dd>
        </div>
        <div>
          <dt>At the provider</dt>
          <dd>
            {handlers.length === 0
              ? "No handler yet: add one to handlers/."
              : `Tick ${listOf(handlers.map((one) => typeOf(one, begins.includes(one))))}.`}{" "}
            <a href={docs} rel="noreferrer" target="_blank">
              {title}'s page about webhooks
            </a>
          </dd>
        </div>
        {secrets.length === 0 ? null : (
          <div>
            <dt>Secrets</dt>
            <dd>
              <ul class="bare">
                {secrets.map((one) => (
                  <li key={one.name}>
                    <code>{one.name}</code>{" "}
                    {one.matched_at === null ? (
                      <span class="quiet">○ has matched nothing since the start</span>
                    ) : (
                      <span class="outcome good">✓ matched {ago(one.matched_at, now)}</span>
                    )}
                  </li>
                ))}
              </ul>
            </dd>
          </div>
        )}
      </dl>
      <Refused source={name} now={now} />
    </section>
  );
}

/** `handlers/stripe/invoice.paid.sql` runs `invoice.paid`. */
function typeOf(handler: string, isPrefix: boolean): string {
  const type = handler.replace(/^handlers\/[^/]+\//, "").replace(/\.(?:sql|ts)$/, "");
  if (isPrefix) return `all types that begin with "${type}."`;
  return type === "_any" ? "whatever else you want" : type;
}

function listOf(types: readonly string[]): string {
  const most = types.slice(0, 12);
  return `${most.join(", ")}${types.length > most.length ? ` and ${count(types.length - most.length)} more` : ""}`;
}

function Refused({ source, now }: { readonly source: string; readonly now: number }) {
  const loaded = useLoaded<List<RefusedJson>>(`refused ${source}`, () => api.refused(source), 15_000);
  if (loaded.error !== undefined) return <Failed error={loaded.error} again={loaded.again} />;
  const items = loaded.value?.items ?? [];
  if (items.length === 0) return null;
  return (
    <details class="refused">
      <summary>
        <span class="outcome bad">✗ {count(items.length)} refused</span>, the last{" "}
        {ago(items[0]?.received_at ?? now, now)}
      </summary>
      <ul class="bare">
        {items.map((one) => (
          <RefusedOne key={one.id} one={one} />
        ))}
      </ul>
    </details>
  );
}

function RefusedOne({ one }: { readonly one: RefusedJson }) {
  const [verdict, setVerdict] = useState<VerdictJson | null | undefined>(undefined);
  const [isAsking, setAsking] = useState(false);
  const [problem, setProblem] = useState("");
  const ask = (): void => {
    setAsking(true);
    setProblem("");
    api.verdict(one.source, one.id).then(
      (found) => {
        setVerdict(found?.verdict ?? null);
        setAsking(false);
      },
      (error: unknown) => {
        setProblem(messageOf(error));
        setAsking(false);
      },
    );
  };
  return (
    <li class="refused-one">
      <p>
        <Time at={one.received_at} /> <code>{one.code}</code> {visible(one.message)}
      </p>
      {verdict === undefined && one.body_missing === null ? (
        <button type="button" class="small" disabled={isAsking} onClick={ask}>
          {isAsking ? "Finding out…" : "Why?"}
        </button>
      ) : null}
      {one.body_missing === null ? null : <p class="quiet">{MISSING[one.body_missing]}</p>}
      {problem === "" ? null : <p class="wrong">✗ {problem}</p>}
      {verdict === undefined ? null : verdict === null ? (
        <p class="quiet">There is not enough left of it to find out.</p>
      ) : (
        <Verdict verdict={verdict} />
      )}
    </li>
  );
}

const MISSING = {
  not_read: "Refused from its headers alone. Its body was not read.",
  too_large: "Its body was too large to keep.",
  secret: "Its body is not kept, because it may hold the secret.",
} as const;

function Verdict({ verdict }: { readonly verdict: VerdictJson }) {
  return (
    <div class="verdict" role="status">
      {verdict.findings.length === 0 ? <p>The doctor found no cause.</p> : null}
      <ul>
        {verdict.findings.map((one) => (
          <li>
            <strong>{one.proven ? "✓ " : "○ Maybe: "}</strong>
            {visible(one.what)} <em>{visible(one.remedy)}</em>
          </li>
        ))}
      </ul>
    </div>
  );
}
