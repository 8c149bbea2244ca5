/*
 * Where one stands when this browser is not logged in.
 * Promises: says how to get a fresh link, takes a pasted link or code, says why one was not taken.
 * Does not cover: keys; they are for programs and are not asked for here.
 */
import { useState } from "react";
import { useCell } from "../cell";
import { codeInText } from "../session/login-code";
import { login, loginError } from "../session/session";
import { Unreachable } from "../wire/request";
import { CopyButton } from "./copy-button";
import { Flame } from "./icons";

const COMMAND = "homefire link";

export function LoginScreen() {
  const [pasted, setPasted] = useState("");
  const [trying, setTrying] = useState(false);
  const [odd, setOdd] = useState(false);
  const refused = useCell(loginError);
  const trouble = odd
    ? "That is neither a login link nor a code."
    : refused
      ? [refused.message, refused.next_step].filter(Boolean).join(" ")
      : null;

  async function submit(): Promise<void> {
    const code = codeInText(pasted);
    setOdd(code === null);
    if (code === null) return;
    setTrying(true);
    try {
      await login(code);
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
    } finally {
      setTrying(false);
    }
  }

  return (
    <main className="login">
      <Flame className="empty-flame" />
      <h1>This browser is not logged in.</h1>
      <p>For a fresh link, run this in a terminal on this machine:</p>
      <div className="command">
        <code>{COMMAND}</code>
        <CopyButton wide label="Copy the command" text={() => COMMAND} />
      </div>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <label className="field">
          <span>Or paste the link, or its code, here</span>
          <input
            type="text"
            autoComplete="off"
            autoCapitalize="off"
            spellCheck={false}
            value={pasted}
            aria-invalid={trouble !== null}
            aria-describedby="login-trouble"
            onChange={(event) => {
              setPasted(event.target.value);
              setOdd(false);
            }}
          />
        </label>
        <button type="submit" className="button primary" disabled={trying || pasted.trim() === ""}>
          Log in
        </button>
      </form>
      <p id="login-trouble" className="login-trouble" role="alert">
        {trouble}
      </p>
      <p className="quiet">A link works once, within ten minutes. It never leaves this machine.</p>
    </main>
  );
}
