import { columnReads, type ColumnRead } from "./sql-paths.ts";
import { indexesIn, statementsIn, type Token } from "./sql-tokens.ts";

/**
 * Selects the JSON that a statement reads from columns, over the rows that the statement itself reads. Its
 * parameters are numbered as those of the statement. Its last columns are those of the reads, in order.
 */
export interface ColumnQuery {
  readonly sql: string;
  readonly reads: readonly ColumnRead[];
}

/** Tokens from `begin` to before `end`. */
interface Range {
  readonly begin: number;
  readonly end: number;
}

/** A SELECT without its UNION, an UPDATE or a DELETE. */
interface Block {
  /** The expressions that are read for the rows that WHERE selects. */
  readonly expressions: readonly Range[];
  readonly tables: Range;
  /** The FROM of an UPDATE. */
  readonly moreTables: Range | undefined;
  readonly where: Range | undefined;
  /** Of a SELECT that ends with LIMIT: all of it after its list. */
  readonly limited: Range | undefined;
}

/**
 * Finds the literal JSON paths that a statement reads from columns of tables.
 *
 * A path in WHERE is looked up in the rows that the conditions without a path select, and one in a json_each() in
 * the rows of the tables before it. These are left out, because no query before the statement has their rows:
 * RETURNING, DO UPDATE, ON, a LIMIT after GROUP BY, DISTINCT or UNION, and a subquery that has its own WITH or uses
 * columns of the statement around it. SQLite refuses the query of the last one.
 */
export function columnQueries(sql: string): ColumnQuery[] {
  return statementsIn(sql).flatMap((tokens) => queriesOf(sql, tokens));
}

function queriesOf(sql: string, tokens: readonly Token[]): ColumnQuery[] {
  const reads = columnReads(sql, tokens);
  if (reads.length === 0) return [];
  const indexes = indexesIn(tokens);
  const partners = partnersIn(tokens);
  const whole = { begin: 0, end: tokens.length };
  const withs = isAt(0, /^with$/) ? { begin: 0, end: find(VERB, whole) } : undefined;
  const subqueries = [...partners]
    .map(([open, close]) => ({ begin: open + 1, end: close }))
    .filter(({ begin }) => isAt(begin, /^(?:select|with)$/));
  const blocks = Map.groupBy(reads, ({ first }) => subqueries.findLast((one) => isIn(first, one)) ?? whole);
  return [...blocks].flatMap(([range, all]) =>
    blocksIn(range === whole ? { ...whole, begin: withs?.end ?? 0 } : range).flatMap((block) =>
      queriesFor(block, all),
    ),
  );

  function queriesFor({ tables, moreTables, where, ...block }: Block, all: readonly ColumnRead[]) {
    const inRange = (range: Range | undefined): ColumnRead[] =>
      all.filter(({ first }) => range !== undefined && isIn(first, range));
    const from = moreTables === undefined ? textOf(tables) : `${textOf(tables)}, ${textOf(moreTables)}`;
    const conditions = (some: readonly Range[]): string =>
      some.length === 0 ? "" : ` where ${some.map(textOf).join(" and ")}`;
    const free = conditions(conjunctsOf(where).filter((one) => inRange(one).length === 0));
    const read = block.expressions.flatMap(inRange);
    const list = block.expressions[0] as Range;
    const rows = conditions(where === undefined ? [] : [where]);
    const queries = [
      block.limited === undefined
        ? { reads: read, sql: `select ${columns(read)} from ${from}${rows}` }
        : { reads: read, sql: `select ${textOf(list)}, ${columns(read)} ${textOf(block.limited)}` },
      { reads: inRange(where), sql: `select ${columns(inRange(where))} from ${from}${free}` },
      ...inRange(tables).flatMap((one) => {
        const before = tablesBefore(one.first, tables);
        if (before === undefined) return [];
        return [{ reads: [one], sql: `select ${columns([one])} from ${textOf(before)}${free}` }];
      }),
    ];
    const before = withs === undefined ? "" : `${textOf(withs)} `;
    return queries
      .filter((one) => one.reads.length > 0)
      .map((one) => ({ reads: one.reads, sql: before + one.sql }));
  }

  /** The blocks of a query whose rows can be selected. */
  function blocksIn({ begin, end }: Range): Block[] {
    if (isAt(begin, /^with$/)) return [];
    const tail = Math.min(find(/^returning$/, { begin, end }), upsertIn({ begin, end }));
    if (isAt(begin, /^update$/)) return updateIn({ begin, end: tail });
    if (isAt(begin, /^delete$/)) return selectIn({ begin, end: tail }, tail);
    const select = find(/^select$/, { begin, end: tail });
    const order = find(/^(?:order|limit)$/, { begin: select, end: tail });
    const blocks: Block[] = [];
    let next = select;
    while (next < order) {
      const stop = find(/^(?:union|intersect|except)$/, { begin: next, end: order });
      const isCompound = next !== select || stop < order;
      blocks.push(...selectIn({ begin: next, end: stop }, isCompound ? stop : tail));
      if (isCompound && find(/^limit$/, { begin: order, end: tail }) < tail) return [];
      next = find(/^select$/, { begin: stop, end: order });
    }
    return blocks;
  }

  function updateIn({ begin, end }: Range): Block[] {
    const set = find(/^set$/, { begin, end });
    const from = find(FROM, { begin: set, end });
    const where = find(/^where$/, { begin: set, end });
    // After `or replace`.
    const table = isAt(begin + 1, /^or$/) ? begin + 3 : begin + 1;
    const moreTables = from < where ? { begin: from + 1, end: where } : undefined;
    if (moreTables !== undefined && find(/^(?:right|full)$/, moreTables) < where) return [];
    return [
      {
        expressions: [{ begin: set + 1, end: Math.min(from, where) }],
        tables: { begin: table, end: set },
        moreTables,
        where: where < end ? { begin: where + 1, end } : undefined,
        limited: undefined,
      },
    ];
  }

  /** @param last the end of its ORDER BY and LIMIT */
  function selectIn({ begin, end }: Range, last: number): Block[] {
    const from = find(FROM, { begin, end });
    if (from === end) return [];
    const where = find(/^where$/, { begin: from, end });
    const rest = find(/^(?:group|having|window)$/, { begin: from, end });
    const list = { begin: begin + 1, end: from };
    const hasLimit = find(/^limit$/, { begin: end, end: last }) < last;
    const isGrouped = rest < end || isAt(list.begin, /^distinct$/) || hasAggregate(list);
    if (hasLimit && isGrouped) return [];
    return [
      {
        expressions: [list, { begin: rest, end: last }],
        tables: { begin: from + 1, end: Math.min(where, rest) },
        moreTables: undefined,
        where: where < rest ? { begin: where + 1, end: rest } : undefined,
        limited: hasLimit ? { begin: from, end: last } : undefined,
      },
    ];
  }

  /** Where the `on conflict` of an INSERT begins. */
  function upsertIn({ begin, end }: Range): number {
    let at = find(/^on$/, { begin, end });
    while (at < end && !isAt(at + 1, /^conflict$/)) at = find(/^on$/, { begin: at + 1, end });
    return at;
  }

  /** The tables before the json_each() with this read. */
  function tablesBefore(first: number, { begin, end }: Range): Range | undefined {
    let last = begin;
    for (let at = find(BETWEEN, { begin, end }); at < first; at = find(BETWEEN, { begin: at + 1, end }))
      last = at;
    if (last === begin || isAt(last, /^(?:on|using)$/)) return undefined;
    while (isAt(last - 1, /^(?:left|inner|cross|natural|outer)$/)) last--;
    return { begin, end: last };
  }

  /** The parts of a condition that all must be true. */
  function conjunctsOf(where: Range | undefined): Range[] {
    if (where === undefined) return [];
    const { end } = where;
    const parts: Range[] = [];
    let { begin } = where;
    let cases = 0;
    let betweens = 0;
    for (let at = find(LOGIC, where); at < end; at = find(LOGIC, { begin: at + 1, end })) {
      if (isAt(at, /^case$/)) cases++;
      else if (isAt(at, /^end$/)) cases--;
      else if (cases > 0) continue;
      else if (isAt(at, /^between$/)) betweens++;
      else if (isAt(at, /^or$/)) return [where];
      else if (betweens > 0) betweens--;
      else {
        parts.push({ begin, end: at });
        begin = at + 1;
      }
    }
    return [...parts, { begin, end }];
  }

  function hasAggregate({ begin, end }: Range): boolean {
    return tokens
      .slice(begin, end)
      .some(({ text }, at) => AGGREGATE.test(text) && isAt(begin + at + 1, /^\($/));
  }

  /** The first token that matches, outside inner parentheses; `end` if there is none. */
  function find(pattern: RegExp, { begin, end }: Range): number {
    for (let at = begin; at < end; at++) {
      const isDistinctFrom = pattern === FROM && isAt(at - 1, /^distinct$/);
      if (isAt(at, pattern) && !isDistinctFrom) return at;
      at = partners.get(at) ?? at;
    }
    return end;
  }

  function isAt(at: number, pattern: RegExp): boolean {
    return pattern.test(tokens[at]?.text.toLowerCase() ?? "");
  }

  function textOf({ begin, end }: Range): string {
    let text = "";
    for (let at = begin; at < end; at++) {
      const token = tokens[at] as Token;
      const index = indexes.get(at);
      const after = token.at + token.text.length;
      text += index === undefined ? token.text : `?${index + 1}`;
      if (at < end - 1) text += sql.slice(after, tokens[at + 1]?.at);
    }
    return text;
  }
}

const VERB = /^(?:select|values|insert|replace|update|delete)$/;
const FROM = /^from$/;
const LOGIC = /^(?:and|or|between|case|end)$/;
const BETWEEN = /^(?:,|join|on|using)$/;
const AGGREGATE = /^(?:avg|count|group_concat|max|min|string_agg|sum|total|jsonb?_group_(?:array|object))$/i;

const isIn = (at: number, { begin, end }: Range): boolean => begin <= at && at < end;

/** A column that is NULL is read like a null in JSON. Text that is not JSON is left out: SQLite tells the handler. */
function columns(reads: readonly ColumnRead[]): string {
  return reads
    .map(
      ({ column: one }) =>
        `case when ${one} is null then 'null' when json_valid(${one}, 10) then json(${one}) end`,
    )
    .join(", ");
}

/** The end of each parenthesis, by its beginning, the outer ones first. */
function partnersIn(tokens: readonly Token[]): ReadonlyMap<number, number> {
  const partners = new Map<number, number>();
  const open: number[] = [];
  for (const [at, { text }] of tokens.entries()) {
    if (text === "(") open.push(at);
    const begin = text === ")" ? open.pop() : undefined;
    if (begin !== undefined) partners.set(begin, at);
  }
  return new Map([...partners].sort(([a], [b]) => a - b));
}
