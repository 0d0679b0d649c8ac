(comment) @comment.inclusive

[
  (string)
  (block_text_content)
] @string
