"use strict";

/** Whether a text is no text: what Illustrator writes, or bytes with a NUL near the beginning. */
function isDrawing(text) {
  const beginning = text.slice(0, 4096).replace(/^\uFEFF/, "");
  return beginning.startsWith("%PDF") || beginning.startsWith("%!PS") || beginning.includes("\0");
}

module.exports = { isDrawing };
