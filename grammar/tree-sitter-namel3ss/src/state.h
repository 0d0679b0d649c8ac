// The tokens that there are, and what must be known of the text before one.

#ifndef NAMEL3SS_STATE_H_
#define NAMEL3SS_STATE_H_

#include "characters.h"

// The order is that of `externals` in grammar.js.
enum TokenKind {
  COMMENT,
  AI_MODEL, LLM, PROMPT, CHAIN, SERVER, GATEWAY, IMPORT,
  FOREIGN_KEYWORD, FOREIGN_TEXT, NO_FOREIGN_TEXT,
  NAME, STEP, KEY, COLON, OPEN_COLON,
  STRING_START, STRING_CONTENT, ESCAPE_SEQUENCE, STRING_END, TEXT_BAR, BLOCK_TEXT_CONTENT,
  WORD, NUMBER, BOOLEAN, NULL_VALUE, ENV_VARIABLE, TYPE, LIST,
  LEFT_BRACE, RIGHT_BRACE, LEFT_BRACKET, RIGHT_BRACKET, LESS, GREATER, COMMA, CHOICE_BAR, EQUALS, OTHERWISE, OPTIONAL,
  ERROR_SENTINEL,
};

// What must be known of the text before a token.
typedef struct {
  uint16_t indentation; // of the line, in columns; a tab reaches to the next multiple of eight, as in Python
  uint8_t quote;        // of the string that the next token lies in, or 0
  bool in_angles;       // the declaration was opened with `<`
  bool in_text;         // the next token is that of a block text
  bool begins_entry;    // a key needs no blank behind its colon: on a new line, and after `{`, `<` or a comma
  bool begun;           // there was a token before
} State;

enum { TAB_WIDTH = 8, MOST_COLUMNS = UINT16_MAX };

static bool found(TSLexer *lexer, enum TokenKind kind) {
  lexer->result_symbol = kind;
  return true;
}

static unsigned wider(unsigned width, int32_t blank) {
  unsigned wide = blank == '\t' ? (width / TAB_WIDTH + 1) * TAB_WIDTH : width + 1;
  return wide < MOST_COLUMNS ? wide : MOST_COLUMNS;
}

// Skip what may stand between tokens but comments. Tells whether a comment may begin here, and whether a line does.
static void skip_blanks(TSLexer *lexer, State *state, bool *after_blank, bool *first_of_line) {
  bool measuring = !state->begun;
  unsigned width = 0;
  *after_blank = *first_of_line = !state->begun;
  for (;; lexer->advance(lexer, true)) {
    int32_t c = next(lexer);
    if (c == '\n') {
      measuring = *first_of_line = state->begins_entry = true;
      width = 0;
      state->indentation = 0;
    } else if (is_blank(c)) {
      width = wider(width, c);
      if (measuring) state->indentation = (uint16_t)width;
    } else if (c == '\r' || c == '\f') {
      measuring = false;
    } else {
      return;
    }
    *after_blank = true;
  }
}

// From `#` to the end of the line, without the return that belongs to it.
static bool scan_comment(TSLexer *lexer) {
  while (!at_end(lexer) && next(lexer) != '\n') {
    if (next(lexer) == '\r') lexer->mark_end(lexer);
    int32_t c = next(lexer);
    take(lexer);
    if (c != '\r' || (next(lexer) != '\n' && !at_end(lexer))) lexer->mark_end(lexer);
  }
  return found(lexer, COMMENT);
}

#endif // NAMEL3SS_STATE_H_
