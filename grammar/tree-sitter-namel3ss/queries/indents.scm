[
  (block)
  (map)
  (list)
  (list_type)
  (block_text)
] @indent.begin

[
  "}"
  "]"
  ">"
] @indent.branch

[
  (block_text_content)
  (foreign_text)
] @indent.auto
