import "./lib/styles/tokens.css";
import "./lib/styles/base.css";
import { mount } from "svelte";
import App from "./App.svelte";
import { connect } from "./lib/backend/connect";

const backend = await connect();
mount(App, { target: document.getElementById("app")!, props: { backend } });
