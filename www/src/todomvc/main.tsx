import "todomvc-common/base.css";
import "todomvc-app-css/index.css";
import "../shared/theme.css";
import "./todomvc.css";
import { registerServiceWorker } from "../service-worker/register.ts";
import { offerInConsole } from "../shared/console.ts";
import { mount } from "../shared/mount.tsx";
import { App } from "./app.tsx";
import { todos } from "./log.ts";

offerInConsole(todos);
mount(<App shell={registerServiceWorker()} />);
