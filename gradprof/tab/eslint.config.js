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
  { files: ["**/static/**/*.js"], languageOptions: { globals: globals.browser }, rules },
  { files: ["**/eslint.config.js", "**/page/*.mjs"], languageOptions: { globals: globals.node }, rules },
];
