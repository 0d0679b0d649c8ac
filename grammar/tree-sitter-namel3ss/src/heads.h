// Keywords of declarations, own ones and those of the wider language, and what else has its place by the words around it.

#ifndef NAMEL3SS_HEADS_H_
#define NAMEL3SS_HEADS_H_

#include "foreign.h"
#include "state.h"
#include "strings.h"

typedef enum { VALUE_FOLLOWS, LINE_ENDS, NO_BLANK } Colon;

// What stands behind the colon of a key.
static Colon behind_colon(TSLexer *lexer) {
  int32_t c = next(lexer);
  if (c == '"' || c == '\'' || c == '{' || c == '[') return VALUE_FOLLOWS;
  if (at_line_end(lexer)) return LINE_ENDS;
  if (!take_blanks(lexer)) return NO_BLANK;
  return at_line_end(lexer) || next(lexer) == '#' ? LINE_ENDS : VALUE_FOLLOWS;
}

// Whether what was read is a key: its colon must follow.
static bool is_key(TSLexer *lexer, const State *state) {
  if (next(lexer) != ':') return false;
  take(lexer);
  return behind_colon(lexer) != NO_BLANK || state->begins_entry;
}

static bool scan_colon(TSLexer *lexer, const bool *wanted) {
  take(lexer);
  lexer->mark_end(lexer);
  enum TokenKind kind = behind_colon(lexer) == LINE_ENDS ? OPEN_COLON : COLON;
  return wanted[kind] && found(lexer, kind);
}

// Behind `step` and blanks: whether a name and a brace follow.
static bool is_step(TSLexer *lexer) {
  int32_t c = next(lexer);
  if (c == '"' || c == '\'') {
    take(lexer);
    if (!take_string(lexer, c)) return false;
  } else {
    if (!is_name_start(c)) return false;
    while (is_name(next(lexer))) take(lexer);
  }
  while (is_blank(next(lexer)) || next(lexer) == '\r' || next(lexer) == '\n') take(lexer);
  return next(lexer) == '{';
}

// The opening quote of a string that is closed on its line, and is a key where one is wanted.
static bool scan_string_start(TSLexer *lexer, State *state, const bool *wanted) {
  int32_t quote = next(lexer);
  take(lexer);
  lexer->mark_end(lexer);
  if (!take_string(lexer, quote)) return false;
  take_blanks(lexer);
  bool may_be_value = wanted[ERROR_SENTINEL] && next(lexer) != ':';
  if (wanted[KEY] && !may_be_value && !is_key(lexer, state)) return false;
  state->quote = (uint8_t)quote;
  return found(lexer, STRING_START);
}

// Whether the rest of the line of a word that nobody knows opens a brace.
static bool opens_brace(TSLexer *lexer) {
  while (!at_end(lexer) && next(lexer) != '\n' && next(lexer) != '{') take(lexer);
  return next(lexer) == '{';
}

// Behind `import`: a dotted name instead of a path in quotes, which is the wider language's.
static bool imports_name(TSLexer *lexer) {
  if (!is_name_start(next(lexer))) return false;
  Prefix last = {0};
  bool dotted = false;
  while (is_name_start(next(lexer)) || is_digit(next(lexer)) || next(lexer) == '.' || next(lexer) > 127) {
    if (next(lexer) == '.') {
      last.length = 0;
      dotted = true;
    } else {
      keep(&last, next(lexer));
    }
    take(lexer);
  }
  if (dotted && equals(&last, "ai")) return false;
  take_blanks(lexer);
  if (at_line_end(lexer)) return true;
  Prefix as = {0};
  take_name(lexer, &as);
  return equals(&as, "as") && is_blank(next(lexer));
}

static const struct {
  const char *word;
  enum TokenKind kind;
} KEYWORDS[] = {
  {"llm", LLM},       {"prompt", PROMPT},   {"chain", CHAIN},
  {"server", SERVER}, {"gateway", GATEWAY}, {"import", IMPORT},
};

static enum TokenKind keyword_of(const Prefix *word) {
  for (unsigned number = 0; number < sizeof KEYWORDS / sizeof *KEYWORDS; number++) {
    if (equals(word, KEYWORDS[number].word)) return KEYWORDS[number].kind;
  }
  return ERROR_SENTINEL;
}

// The keyword of a declaration, own or of the wider language.
static bool scan_head(TSLexer *lexer, State *state) {
  Prefix word = {0}, second = {0};
  take_name(lexer, &word);
  lexer->mark_end(lexer);
  bool blanks = take_blanks(lexer);
  bool colon = next(lexer) == ':';
  enum TokenKind kind = colon ? ERROR_SENTINEL : keyword_of(&word);
  if (equals(&word, "ai") || equals(&word, "model")) take_name(lexer, &second);
  if (equals(&word, "ai") && equals(&second, "model")) {
    lexer->mark_end(lexer);
    take_blanks(lexer);
    if (next(lexer) != ':') kind = AI_MODEL;
  }
  if (kind != ERROR_SENTINEL) {
    state->in_angles = false;
    bool is_foreign = kind == IMPORT && blanks && imports_name(lexer);
    return found(lexer, is_foreign ? FOREIGN_KEYWORD : kind);
  }
  if (is_foreign_word(&word)) return !equals(&second, "ai") && found(lexer, FOREIGN_KEYWORD);
  return !colon && opens_brace(lexer) && found(lexer, FOREIGN_KEYWORD);
}

static bool scan_foreign_text(TSLexer *lexer, State *state) {
  bool lines = false;
  Foreign text = take_foreign_text(lexer, &lines);
  if (lines) state->indentation = 0; // that of the closing brace
  if (text == FOREIGN_BROKEN) return false;
  return found(lexer, text == FOREIGN_WITH_TEXT ? FOREIGN_TEXT : NO_FOREIGN_TEXT);
}

#endif // NAMEL3SS_HEADS_H_
