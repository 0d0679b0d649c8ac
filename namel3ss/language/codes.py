"""Every code a check can report, once.

The number says where a finding belongs:

    N30xx  text and syntax                      N35xx  prompts and templates
    N31xx  declarations, names, references      N36xx  chains
    N32xx  settings                             N37xx  server and gateway
    N33xx  environment and secrets              N38xx  suspicious settings
    N34xx  imports and profiles                 N39xx  files and limits

A code is never given a new meaning; one that is no longer reported stays reserved.
"""

from __future__ import annotations

from typing import NamedTuple

from namel3ss.language.diagnostics import Severity

__all__ = ["CODES", "CodeInfo"]


class CodeInfo(NamedTuple):
    """`title` names the mistake, as a heading; `severity` is the one it is reported with."""

    title: str
    severity: Severity


_ERROR, _WARNING, _INFO = Severity.ERROR, Severity.WARNING, Severity.INFO

CODES: dict[str, CodeInfo] = {
    "N3001": CodeInfo("Something else was expected here", _ERROR),
    "N3002": CodeInfo("Two words on one line", _ERROR),
    "N3003": CodeInfo("A brace or bracket is never closed", _ERROR),
    "N3004": CodeInfo("A string is never closed", _ERROR),
    "N3005": CodeInfo("A key has no value", _ERROR),
    "N3006": CodeInfo("A colon is missing", _ERROR),
    "N3007": CodeInfo("A reference to the environment is malformed", _ERROR),
    "N3008": CodeInfo("An escape that does not exist", _ERROR),
    "N3009": CodeInfo("Text outside of any declaration", _ERROR),
    "N3010": CodeInfo("A declaration that namel3ss does not read", _WARNING),
    "N3011": CodeInfo("A closer with nothing to close", _ERROR),
    "N3012": CodeInfo("An opening brace is missing", _ERROR),
    "N3013": CodeInfo("A comma is missing", _ERROR),
    "N3014": CodeInfo("A number too large to use", _ERROR),
    "N3015": CodeInfo("A template without quotes", _ERROR),
    "N3016": CodeInfo("A name is missing or needs quotes", _ERROR),
    "N3017": CodeInfo("Block text without text", _ERROR),
    "N3018": CodeInfo("A character that cannot stand here", _ERROR),
    "N3019": CodeInfo("A word that ends in a quote", _WARNING),
    "N3020": CodeInfo("A closer of another kind", _ERROR),
    "N3021": CodeInfo("An import without a quoted path", _ERROR),
    "N3022": CodeInfo("A comma too many", _ERROR),
    "N3023": CodeInfo("A misspelt declaration", _ERROR),
    "N3101": CodeInfo("The provider is missing", _ERROR),
    "N3102": CodeInfo("The model is missing", _ERROR),
    "N3103": CodeInfo("An unknown provider", _ERROR),
    "N3104": CodeInfo("Two declarations of one name", _ERROR),
    "N3105": CodeInfo("Two models without a name", _ERROR),
    "N3106": CodeInfo("A model extends one that is not declared", _ERROR),
    "N3107": CodeInfo("Models that extend each other in a circle", _ERROR),
    "N3108": CodeInfo("A value of the wrong kind", _ERROR),
    "N3109": CodeInfo("A provider that cannot be loaded", _ERROR),
    "N3111": CodeInfo("A name that no model can have", _ERROR),
    "N3112": CodeInfo("A fallback to a model that is not declared", _ERROR),
    "N3113": CodeInfo("A model that falls back to itself", _ERROR),
    "N3201": CodeInfo("An unknown setting", _ERROR),
    "N3202": CodeInfo("A value outside of what the setting takes", _ERROR),
    "N3203": CodeInfo("A key written twice", _ERROR),
    "N3204": CodeInfo("Two places that disagree", _ERROR),
    "N3205": CodeInfo("A setting outside of its usual block", _INFO),
    "N3206": CodeInfo("A setting in the wrong block", _ERROR),
    "N3207": CodeInfo("A required setting is missing", _ERROR),
    "N3301": CodeInfo("A variable that is not set", _WARNING),
    "N3302": CodeInfo("A secret in the file", _ERROR),
    "N3303": CodeInfo("A variable that does not fit its setting", _ERROR),
    "N3401": CodeInfo("An import of a file that cannot be read", _ERROR),
    "N3402": CodeInfo("An import from outside of the project", _ERROR),
    "N3403": CodeInfo("Files that import each other in a circle", _ERROR),
    "N3404": CodeInfo("Too many imported files", _ERROR),
    "N3407": CodeInfo("An import that is not followed", _WARNING),
    "N3410": CodeInfo("A profile that cannot be read", _ERROR),
    "N3501": CodeInfo("A prompt without a template", _ERROR),
    "N3502": CodeInfo("A template that cannot be read", _ERROR),
    "N3503": CodeInfo("An unknown name in a template", _ERROR),
    "N3504": CodeInfo("Something that templates cannot do", _ERROR),
    "N3505": CodeInfo("An unknown type", _ERROR),
    "N3506": CodeInfo("A default that does not fit its type", _ERROR),
    "N3507": CodeInfo("No such ai model to ask", _ERROR),
    "N3508": CodeInfo("An unknown key in a prompt", _ERROR),
    "N3509": CodeInfo("A prompt that no chain uses", _WARNING),
    "N3510": CodeInfo("An input that nothing uses", _WARNING),
    "N3601": CodeInfo("A chain without steps", _ERROR),
    "N3602": CodeInfo("Steps that wait for each other", _ERROR),
    "N3603": CodeInfo("A step that asks nothing", _ERROR),
    "N3604": CodeInfo("An output that no step gives", _ERROR),
    "N3605": CodeInfo("An answer that nothing uses", _WARNING),
    "N3606": CodeInfo("A step that this version does not run", _WARNING),
    "N3607": CodeInfo("An unknown key in a chain or step", _ERROR),
    "N3608": CodeInfo("A step uses a prompt that is not declared", _ERROR),
    "N3609": CodeInfo("An input that does not fit its prompt", _ERROR),
    "N3610": CodeInfo("Two steps of one name", _ERROR),
    "N3611": CodeInfo("A number of tries or a time that cannot be", _ERROR),
    "N3612": CodeInfo("An answer of another type than the output", _ERROR),
    "N3613": CodeInfo("Too many steps in one chain", _ERROR),
    "N3701": CodeInfo("A gateway uses a server that is not declared", _ERROR),
    "N3702": CodeInfo("A gateway serves a model that is not declared", _ERROR),
    "N3703": CodeInfo("A model that a gateway cannot serve", _ERROR),
    "N3704": CodeInfo("Requests without a key in a class that is not there", _ERROR),
    "N3705": CodeInfo("Two listeners on one address", _ERROR),
    "N3706": CodeInfo("Requests without a key from other machines", _ERROR),
    "N3707": CodeInfo("A coordination that is not available", _ERROR),
    "N3710": CodeInfo("A whitelist for a class that is not there", _WARNING),
    "N3711": CodeInfo("Two servers at one address", _WARNING),
    "N3712": CodeInfo("A gateway for others that lets nobody in", _WARNING),
    "N3713": CodeInfo("A gateway without models", _WARNING),
    "N3714": CodeInfo("A reserve of every slot", _WARNING),
    "N3715": CodeInfo("An address that a gateway does not use", _INFO),
    "N3716": CodeInfo("A server that no gateway uses", _WARNING),
    "N3800": CodeInfo("A setting that its provider advises against", _WARNING),
    "N3801": CodeInfo("One layer taken for one GPU", _WARNING),
    "N3802": CodeInfo("A far server that cannot be started from here", _WARNING),
    "N3803": CodeInfo("A very large context window", _WARNING),
    "N3804": CodeInfo("A temperature that changes nothing", _WARNING),
    "N3805": CodeInfo("One model with two context windows", _WARNING),
    "N3806": CodeInfo("What looks like a secret in the file", _WARNING),
    "N3807": CodeInfo("A model that nothing asks", _WARNING),
    "N3808": CodeInfo("A stop text that ends every answer", _WARNING),
    "N3891": CodeInfo("A comment that ignores nothing", _WARNING),
    "N3892": CodeInfo("A comment that ignores without a reason", _WARNING),
    "N3901": CodeInfo("The file is not UTF-8 text", _ERROR),
    "N3902": CodeInfo("The file is not text", _ERROR),
    "N3903": CodeInfo("The file is too large", _ERROR),
    "N3904": CodeInfo("Nested too deeply", _ERROR),
    "N3905": CodeInfo("Too many entries in one block", _ERROR),
    "N3906": CodeInfo("Too many mistakes in one file", _ERROR),
    "N3907": CodeInfo("There is no such file", _ERROR),
    "N3908": CodeInfo("A folder in the place of a file", _ERROR),
    "N3909": CodeInfo("The file cannot be read", _ERROR),
}
