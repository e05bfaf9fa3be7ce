import "../shared/theme.css";
import "./loans.css";
import { registerServiceWorker } from "../service-worker/register.ts";
import { offerInConsole } from "../shared/console.ts";
import { mount } from "../shared/mount.tsx";
import { App } from "./app.tsx";
import { loans } from "./log.ts";

offerInConsole(loans);
mount(<App shell={registerServiceWorker()} />);
