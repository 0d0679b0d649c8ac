// Strings and block text.

#ifndef NAMEL3SS_STRINGS_H_
#define NAMEL3SS_STRINGS_H_

#include "state.h"

static bool take_hexadecimals(TSLexer *lexer, Prefix *digits) {
  for (int count = 0; count < 4; count++, take(lexer)) {
    if (!is_hexadecimal(next(lexer))) return false;
    keep(digits, next(lexer) | 0x20);
  }
  return true;
}

// One of the escapes that there are: those of JSON, and `\'`, `\{`, `\}`. A character beyond the first plane takes two.
static bool scan_escape(TSLexer *lexer) {
  take(lexer);
  int32_t c = next(lexer);
  const char *simple = "ntrbf\\\"'/{}";
  while (*simple && *simple != c) simple++;
  if (*simple) {
    take(lexer);
    lexer->mark_end(lexer);
    return found(lexer, ESCAPE_SEQUENCE);
  }
  Prefix high = {0}, low = {0};
  if (c != 'u') return false;
  take(lexer);
  if (!take_hexadecimals(lexer, &high)) return false;
  if (high.text[0] == 'd' && high.text[1] >= '8') {
    if (high.text[1] > 'b' || next(lexer) != '\\') return false;
    take(lexer);
    if (next(lexer) != 'u') return false;
    take(lexer);
    if (!take_hexadecimals(lexer, &low) || low.text[0] != 'd' || low.text[1] < 'c') return false;
  }
  lexer->mark_end(lexer);
  return found(lexer, ESCAPE_SEQUENCE);
}

static bool scan_in_string(TSLexer *lexer, State *state) {
  if (next(lexer) == state->quote) {
    take(lexer);
    lexer->mark_end(lexer);
    state->quote = 0;
    return found(lexer, STRING_END);
  }
  if (next(lexer) == '\\') return scan_escape(lexer);
  if (at_line_end(lexer)) return false;
  while (!at_line_end(lexer) && next(lexer) != state->quote && next(lexer) != '\\') take(lexer);
  lexer->mark_end(lexer);
  return found(lexer, STRING_CONTENT);
}

// Behind the bar: a comment, or every line below that is blank or indented deeper than the line of the bar, up to the end
// of the last one that is not blank.
static bool scan_block_text(TSLexer *lexer, State *state) {
  while (is_blank(next(lexer)) || next(lexer) == '\r') lexer->advance(lexer, true);
  if (next(lexer) == '#') return scan_comment(lexer);
  bool has_text = false;
  while (!at_end(lexer)) {
    lexer->advance(lexer, !has_text); // the end of the line before
    unsigned width = 0;
    for (; is_blank(next(lexer)); lexer->advance(lexer, !has_text)) width = wider(width, next(lexer));
    if (next(lexer) == '\r') lexer->advance(lexer, !has_text);
    if (next(lexer) == '\n') continue;
    if (at_end(lexer) || width <= state->indentation) break;
    has_text = true;
    while (!at_end(lexer) && next(lexer) != '\n') {
      bool is_return = next(lexer) == '\r';
      if (is_return) lexer->mark_end(lexer);
      take(lexer);
      if (!is_return || (next(lexer) != '\n' && !at_end(lexer))) lexer->mark_end(lexer);
    }
  }
  state->in_text = false;
  return has_text && found(lexer, BLOCK_TEXT_CONTENT);
}

// A bar with nothing but a comment behind it. It is one without a text, too, which is an error.
static bool is_text_bar(TSLexer *lexer, State *state) {
  if (take_blanks(lexer) && next(lexer) == '#') {
    while (!at_end(lexer) && next(lexer) != '\n') take(lexer);
  }
  if (next(lexer) == '\r') take(lexer);
  if (next(lexer) != '\n' && !at_end(lexer)) return false;
  while (!at_end(lexer)) {
    take(lexer);
    unsigned width = 0;
    for (; is_blank(next(lexer)); take(lexer)) width = wider(width, next(lexer));
    if (next(lexer) == '\r') take(lexer);
    if (next(lexer) == '\n') continue;
    state->in_text = !at_end(lexer) && width > state->indentation;
    break;
  }
  return true;
}

#endif // NAMEL3SS_STRINGS_H_
