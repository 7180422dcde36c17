import { useEffect, useRef, useState } from "hono/jsx/dom";
import { completionsOf, type Known } from "./query.ts";

/** The one search box, with completion. */
export function QueryLine(props: {
  readonly line: string;
  readonly known: Known;
  readonly onSubmit: (line: string) => void;
}) {
  const [text, setText] = useState(props.line);
  const [isOpen, setOpen] = useState(false);
  const [chosen, setChosen] = useState(-1);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => setText(props.line), [props.line]);
  useEffect(() => {
    if (input.current !== null) input.current.spellcheck = false;
  }, []);
  const completions = isOpen ? completionsOf(text, props.known) : [];
  const submit = (line: string): void => {
    setOpen(false);
    setChosen(-1);
    props.onSubmit(line.trim());
  };
  const choose = (line: string): void => {
    setText(line);
    setChosen(-1);
    input.current?.focus();
    if (line.endsWith(" ")) submit(line);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const { key } = event;
    if ((key === "ArrowDown" || key === "ArrowUp") && completions.length > 0) {
      event.preventDefault();
      const step = key === "ArrowDown" ? 1 : -1;
      setChosen((old) => (old + step + completions.length + 1) % (completions.length + 1));
    } else if (key === "Enter") {
      event.preventDefault();
      const completion = completions[chosen];
      if (completion === undefined) submit(text);
      else choose(completion.line);
    } else if (key === "Tab" && completions.length > 0 && text !== "" && !text.endsWith(" ")) {
      event.preventDefault();
      choose(completions[Math.max(chosen, 0)]?.line ?? text);
    } else if (key === "Escape") {
      if (isOpen && completions.length > 0) setOpen(false);
      else input.current?.blur();
      event.stopPropagation();
    }
  };
  return (
    <div class="query" role="search">
      <label class="unseen" for="query">
        Filter and search
      </label>
      <input
        id="query"
        ref={input}
        type="search"
        value={text}
        placeholder="source:stripe outcome:failed since:24h, an event id, or text in a payload"
        autoComplete="off"
        autoCapitalize="off"
        role="combobox"
        aria-expanded={completions.length > 0 ? "true" : "false"}
        aria-controls="completions"
        aria-autocomplete="list"
        aria-activedescendant={completions[chosen] === undefined ? undefined : `completion-${chosen}`}
        onInput={(event: Event) => {
          setText((event.target as HTMLInputElement).value);
          setOpen(true);
          setChosen(-1);
        }}
        onFocus={() => setOpen(true)}
        onBlur={() => setOpen(false)}
        onKeyDown={onKeyDown}
      />
      <kbd aria-hidden="true">/</kbd>
      <ul id="completions" role="listbox" aria-label="Completions" hidden={completions.length === 0}>
        {completions.map(({ text, line }, index) => (
          <li
            key={text}
            id={`completion-${index}`}
            role="option"
            aria-selected={index === chosen ? "true" : "false"}
            // Before the input loses the focus.
            onMouseDown={(event: MouseEvent) => {
              event.preventDefault();
              choose(line);
            }}
          >
            {text}
          </li>
        ))}
      </ul>
    </div>
  );
}
