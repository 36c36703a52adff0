import { svelte } from "@sveltejs/vite-plugin-svelte";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** The page's policy refuses inline styles: those of bits-ui become an attribute, which `base.css` knows. */
const noInlineStyles: Plugin = {
  name: "no-inline-styles",
  enforce: "pre",
  transform: (code, id) => (id.includes("bits-ui") && id.endsWith(".svelte") ? code.replaceAll('style="display: contents;"', "data-contents") : undefined),
};

export default defineConfig({
  // Relative, so that the same files are served by the devhost and by the app.
  base: "./",
  plugins: [noInlineStyles, svelte()],
  build: {
    target: "safari16",
    // Inlined files would be `data:` addresses, which the page's policy grants to images alone.
    assetsInlineLimit: 0,
    // What the first page loads is read from it, and bounded by a test.
    manifest: true,
    modulePreload: { polyfill: false },
  },
  resolve: process.env["VITEST"] ? { conditions: ["browser"] } : {},
  test: {
    environment: "happy-dom",
    include: ["src/**/*.test.ts"],
  },
});
