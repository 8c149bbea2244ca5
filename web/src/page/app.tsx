/*
 * The page: the workspace, the login screen, or, while that is not known, nothing but the fire.
 * Promises: when the daemon is silent a banner says so wherever one is, and goes when it answers; another one stays
 * while keys are turned off.
 */
import { useCell } from "../cell";
import { connection } from "../session/connection";
import { keysOff, session } from "../session/session";
import { Flame } from "./icons";
import { LoginScreen } from "./login-screen";
import { Workspace } from "./workspace";

function Banner() {
  if (useCell(connection) === "here") return null;
  return (
    <div className="banner" role="alert">
      <span>
        The daemon is not answering. Start it with <code>homefire up</code>.
      </span>
      <span className="banner-wait">Waiting for it …</span>
    </div>
  );
}

function KeysOff() {
  if (!useCell(keysOff)) return null;
  return (
    <div className="banner" role="alert">
      <span>
        Keys are off: every program on this machine may use Homefire. Set <code>auth</code> to <code>on</code> in its settings.
      </span>
    </div>
  );
}

export function App() {
  const state = useCell(session);
  return (
    <div className="page">
      <Banner />
      <KeysOff />
      {state === "in" && <Workspace />}
      {state === "out" && <LoginScreen />}
      {state === "unknown" && (
        <main className="opening" aria-label="Homefire is opening">
          <Flame className="burning" />
        </main>
      )}
    </div>
  );
}
