(declaration
  keyword: _ @context
  name: (_) @name) @item

; `ai model { … }` without a name.
(declaration
  keyword: _ @name
  !name) @item

(step
  "step" @context
  name: (_) @name) @item

(import
  "import" @context
  path: (_) @name) @item

(foreign_declaration
  keyword: (_) @name) @item
