import type { Backend } from "./index";

/** The app where the app is around the page, its twin in a browser everywhere else. */
export async function connect(): Promise<Backend> {
  if ("__TAURI_INTERNALS__" in window) {
    const { App } = await import("./tauri");
    return new App();
  }
  const { Web } = await import("./web");
  return new Web();
}
