import svelte from "eslint-plugin-svelte";
import globals from "globals";
import ts from "typescript-eslint";

export default ts.config(
  { ignores: ["dist", "node_modules", "src/lib/backend/bindings.ts"] },
  ...ts.configs.recommended,
  ...svelte.configs.recommended,
  {
    languageOptions: { globals: { ...globals.browser } },
    rules: {
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      // The one seam of the window: everything else knows `Backend`.
      "no-restricted-imports": ["error", { patterns: [{ group: ["@tauri-apps/*"], message: "only src/lib/backend/tauri.ts talks to the app" }] }],
      "no-restricted-syntax": [
        "error",
        { selector: "MemberExpression[object.name='localStorage']", message: "what is kept goes through lib/kept.svelte.ts" },
      ],
      // Maps and dates that live inside one computation need no signals.
      "svelte/prefer-svelte-reactivity": "off",
      // A space that the formatter must not eat.
      "svelte/no-useless-mustaches": "off",
      "no-restricted-globals": ["error", "alert", "confirm", "prompt"],
    },
  },
  { files: ["**/*.svelte", "**/*.svelte.ts"], languageOptions: { parserOptions: { parser: ts.parser } } },
  { files: ["src/lib/backend/tauri.ts"], rules: { "no-restricted-imports": "off" } },
  { files: ["src/lib/kept.svelte.ts"], rules: { "no-restricted-syntax": "off" } },
  { files: ["e2e/**", "*.config.*"], languageOptions: { globals: { ...globals.node } } },
);
