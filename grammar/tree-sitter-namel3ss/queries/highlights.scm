; General patterns stand first: where several fit, the last one counts.

(comment) @comment

[
  (string)
  (word)
  (block_text_content)
] @string

(escape_sequence) @string.escape

(number) @number

(boolean) @boolean

(null) @constant.builtin

(env_variable) @constant

; A type may stand where a word does: `input: { text: str }`.
((word) @type.builtin
  (#any-of? @type.builtin "str" "int" "float" "bool" "object"))

[
  (type)
  "list"
] @type.builtin

(pair
  key: (_) @property)

[
  "ai model"
  "llm"
  "prompt"
  "chain"
  "server"
  "gateway"
  "import"
  "step"
  (foreign_keyword)
] @keyword

(declaration
  name: (_) @type)

(step
  name: (_) @function)

[
  "{"
  "}"
  "["
  "]"
  "<"
  ">"
] @punctuation.bracket

[
  ":"
  ","
] @punctuation.delimiter

(block_text
  "|" @punctuation.special)

(choice_type
  "|" @operator)

[
  "="
  "?"
  "??"
] @operator
