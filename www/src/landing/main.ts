import { registerServiceWorker } from "../service-worker/register.ts";
import "../shared/theme.css";
import "./landing.css";

const shell = registerServiceWorker();
const hint = document.getElementById("offline-hint");

function show(): void {
  if (hint === null) return;
  const state = shell.getSnapshot();
  if (state === "ready")
    hint.textContent = "Saved on this device: both demos now work without the server.";
  else if (state === "installing") hint.textContent = "Saving the demos on this device…";
  else hint.textContent = "";
  if (state === "update") {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "status-update";
    button.textContent = "New version: reload";
    button.addEventListener("click", () => shell.update());
    hint.replaceChildren(button);
  }
}

shell.subscribe(show);
show();
