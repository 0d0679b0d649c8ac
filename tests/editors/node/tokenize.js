"use strict";
/**
 * Prints one line of JSON per file: its lines, each with the TextMate tokens [start, end, scopes].
 *
 * Usage: node tokenize.js GRAMMAR FILE…
 */

const fs = require("node:fs");
const path = require("node:path");
const oniguruma = require("vscode-oniguruma");
const textmate = require("vscode-textmate");

async function main([grammarFile, ...files]) {
  const engine = path.join(path.dirname(require.resolve("vscode-oniguruma")), "onig.wasm");
  await oniguruma.loadWASM(fs.readFileSync(engine).buffer);
  const registry = new textmate.Registry({
    onigLib: Promise.resolve({
      createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns),
      createOnigString: (text) => new oniguruma.OnigString(text),
    }),
    loadGrammar: async (scope) =>
      scope === "source.namel3ss" ? textmate.parseRawGrammar(fs.readFileSync(grammarFile, "utf8"), grammarFile) : null,
  });
  const grammar = await registry.loadGrammar("source.namel3ss");
  for (const file of files) {
    let state = textmate.INITIAL;
    const lines = fs.readFileSync(file, "utf8").split(/\r?\n/).map((line) => {
      const found = grammar.tokenizeLine(line, state);
      state = found.ruleStack;
      return found.tokens.map((token) => [token.startIndex, token.endIndex, token.scopes.slice(1).join(" ")]);
    });
    console.log(JSON.stringify({ file, lines }));
  }
}

main(process.argv.slice(2));
