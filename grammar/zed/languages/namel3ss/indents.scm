(_
  "{"
  "}" @end) @indent

(_
  "["
  "]" @end) @indent

(_
  "<"
  ">" @end) @indent

(block_text) @indent
