import js from "@eslint/js";
import globals from "globals";

const rules = {
  ...js.configs.recommended.rules,
  eqeqeq: "error",
  "no-unused-vars": "error",
  "no-var": "error",
  "prefer-const": "error",
};

export default [
  { files: ["**/tab/static/**/*.js"], languageOptions: { globals: globals.browser }, rules },
  { files: ["**/tab/*.js", "**/tests/tab/page/*.mjs"], languageOptions: { globals: globals.node }, rules },
];
