; Strings and block text are templates where they hold `{{`, `{%` or `{#`.

((block_text_content) @injection.content
  (#match? @injection.content "[{][{%#]")
  (#set! injection.language "jinja"))

((string) @injection.content
  (#match? @injection.content "[{][{%#]")
  (#set! injection.language "jinja")
  (#set! injection.include-children))
