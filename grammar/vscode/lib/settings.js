"use strict";

const vscode = require("vscode");

/**
 * Show the extension's settings, or those that a text finds. They are the machine's: a window onto another machine (WSL,
 * SSH, a container, a browser) has them on a page of their own, and would find nothing on the user's.
 */
function openSettings(query = "@ext:namel3ss.namel3ss") {
  const page = vscode.env.remoteName ? "workbench.action.openRemoteSettings" : "workbench.action.openSettings";
  return vscode.commands.executeCommand(page, { query });
}

module.exports = { openSettings };
