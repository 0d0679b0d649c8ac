//! Starts `namel3ss lsp` for Zed, and hands the user's settings on to it. The language itself is the server's.

use zed_extension_api::{
    self as zed, serde_json::Value, settings::LspSettings, LanguageServerId, Result, Worktree,
};

const PROGRAM: &str = "namel3ss";
const ARGUMENT: &str = "lsp";

struct Extension;

impl zed::Extension for Extension {
    fn new() -> Self {
        Extension
    }

    fn language_server_command(
        &mut self,
        server: &LanguageServerId,
        worktree: &Worktree,
    ) -> Result<zed::Command> {
        let binary = settings(server, worktree).and_then(|settings| settings.binary);
        let (path, arguments) = match binary {
            Some(binary) => (binary.path, binary.arguments),
            None => (None, None),
        };
        let command = path.or_else(|| worktree.which(PROGRAM)).ok_or_else(|| {
            format!(
                "`{PROGRAM}` is not on the PATH of this project: install it with \
                 `pip install 'namel3ss[editor]'`, or name it in the setting `lsp.{server}.binary.path`"
            )
        })?;
        Ok(zed::Command {
            command,
            args: arguments.unwrap_or_else(|| vec![ARGUMENT.to_owned()]),
            env: worktree.shell_env(),
        })
    }

    fn language_server_initialization_options(
        &mut self,
        server: &LanguageServerId,
        worktree: &Worktree,
    ) -> Result<Option<Value>> {
        Ok(settings(server, worktree).and_then(|settings| settings.initialization_options))
    }
}

fn settings(server: &LanguageServerId, worktree: &Worktree) -> Option<LspSettings> {
    LspSettings::for_worktree(server.as_ref(), worktree).ok()
}

zed::register_extension!(Extension);
