//! A script for a step of a GitHub Actions job: it masks the value in the log, then sets it as a variable
//! of the steps that follow. Piped to `sh` in the step, it leaves nothing in the workflow file:
//! `berth connection NAME --carrier github-actions | sh`. (GitHub's documentation, "Workflow commands": masking is
//! per line, `%` and line breaks of a command's value are percent-encoded, `GITHUB_ENV` takes `NAME<<END`.)

use secrecy::zeroize::Zeroizing;

use super::{Carrier, Naming, encode, refuse};
use crate::Result;
use crate::connection::{Text, quote};
use crate::secret::ExposeSecret;

/// See the module.
pub(super) struct GithubActions;

/// What ends the value in `GITHUB_ENV`.
const END: &str = "END_OF_THE_CONNECTION_STRING";

impl Carrier for GithubActions {
    fn id(&self) -> &'static str {
        "github-actions"
    }

    fn name(&self) -> &'static str {
        "GitHub Actions"
    }

    fn about(&self) -> &'static str {
        "A script for a step, to be piped to `sh`: it masks the value in the log, then sets the variable for later steps"
    }

    fn limits(&self) -> &'static [&'static str] {
        &[
            "Line breaks and other control characters: the log is masked line by line",
            "The script holds the secret: pipe it, do not write it into the workflow",
        ]
    }

    fn naming(&self) -> Naming {
        Naming::Variable { always: true }
    }

    fn put(&self, text: &Text, name: Option<&str>) -> Result<Text> {
        let whole = text.reveal();
        let value = whole.expose_secret();
        if value.chars().any(char::is_control) || value.contains(END) {
            return Err(refuse(
                self,
                "a line break or another control character",
                "the runner masks the log line by line, so such a value could show in part",
                "Store it as a secret of the repository: `berth connection … | gh secret set NAME`",
            ));
        }
        let name = name.unwrap_or_default();
        let command = |piece: &str| -> Zeroizing<String> {
            let data = encode::each(piece, 3, |c, out| match c {
                '%' => out.push_str("%25"),
                c => out.push(c),
            });
            quote::shell_inner(&data)
        };
        // The password by itself too: a tool may print it without the string around it.
        let mut script = text.carried(("printf '::add-mask::%s\\n' '", "'\n"), command);
        for secret in text.secrets() {
            script =
                script.append(secret.carried(("printf '::add-mask::%s\\n' '", "'\n"), command));
        }
        let set = text.carried(
            (
                &format!("printf '{name}<<{END}\\n%s\\n{END}\\n' '"),
                "' >> \"$GITHUB_ENV\"",
            ),
            quote::shell_inner,
        );
        Ok(script.append(set))
    }
}
