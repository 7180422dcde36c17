import { useEffect, useRef, useState } from "hono/jsx/dom";
import { api } from "./api.ts";
import { Code, messageOf } from "./ui.tsx";

export function Login({ onLogin }: { readonly onLogin: () => void }) {
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    document.title = "Log in · hookonce";
    input.current?.focus();
  }, []);
  const submit = (event: Event): void => {
    event.preventDefault();
    const token = input.current?.value.trim() ?? "";
    if (token === "") return;
    setBusy(true);
    api.login(token).then(onLogin, (error: unknown) => {
      setProblem(messageOf(error));
      setBusy(false);
      input.current?.select();
    });
  };
  return (
    <main class="login">
      <h1 class="logo">hookonce</h1>
      <form onSubmit={submit}>
        <label for="token">Token</label>
        <input
          id="token"
          ref={input}
          type="password"
          autoComplete="current-password"
          required
          aria-describedby="problem"
        />
        <p id="problem" class="wrong" role="alert">
          {problem === "" ? "" : `✗ ${problem}`}
        </p>
        <button class="primary" disabled={busy}>
          {busy ? "Logging in…" : "Log in"}
        </button>
      </form>
      <p>No token yet? Make one on the machine that runs hookonce:</p>
      <Code text="hookonce token create --name me --scopes read,steer" />
    </main>
  );
}
