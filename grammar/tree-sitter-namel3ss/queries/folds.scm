[
  (block)
  (map)
  (list)
  (block_text)
  (foreign_declaration)
] @fold
