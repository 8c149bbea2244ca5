/*
 * Where the page begins: the login code leaves the address, the route is read, the page is drawn.
 * Promises: in this order. Does not cover: anything else.
 */
import { createRoot } from "react-dom/client";
import { beginRoute } from "./conversation/route";
import { App } from "./page/app";
import { followKeyboard } from "./page/narrow";
import { beginSession } from "./session/session";
import "./style/hearth.css";
import "./style/rooms.css";
import "./style/thread.css";
import "./style/models.css";
import "./style/machine.css";
import "./style/knowledge.css";
import "./style/agent.css";

beginSession();
beginRoute();
followKeyboard();

const root = document.getElementById("homefire");
if (root) createRoot(root).render(<App />);
