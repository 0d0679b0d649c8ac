// What characters are to the language, and how the scanner walks over them.

#ifndef NAMEL3SS_CHARACTERS_H_
#define NAMEL3SS_CHARACTERS_H_

#include "tree_sitter/parser.h"

static inline int32_t next(const TSLexer *lexer) { return lexer->lookahead; }

static inline bool at_end(TSLexer *lexer) { return lexer->eof(lexer); }

static inline void take(TSLexer *lexer) { lexer->advance(lexer, false); }

static inline bool is_blank(int32_t c) { return c == ' ' || c == '\t'; }

static inline bool is_digit(int32_t c) { return c >= '0' && c <= '9'; }

static inline bool is_hexadecimal(int32_t c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static inline bool is_name_start(int32_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

static inline bool is_name(int32_t c) { return is_name_start(c) || is_digit(c) || c == '-'; }

// The blanks of Unicode. They end a word, but only those of ASCII may stand between two tokens.
static inline bool is_space(int32_t c) {
  return is_blank(c) || (c >= '\n' && c <= '\r') || (c >= 0x1c && c <= 0x1f) || c == 0x85 || c == 0xa0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
         c == 0x3000;
}

static inline bool at_line_end(TSLexer *lexer) { return next(lexer) == '\n' || next(lexer) == '\r' || at_end(lexer); }

// What stands behind a word or a number.
static inline bool ends_word(TSLexer *lexer) {
  int32_t c = next(lexer);
  return at_end(lexer) || c == ',' || c == '}' || c == ']' || is_space(c);
}

// Take blanks of the line, and tell whether there were any.
static inline bool take_blanks(TSLexer *lexer) {
  if (!is_blank(next(lexer))) return false;
  while (is_blank(next(lexer))) take(lexer);
  return true;
}

// Take the rest of a string whose opening quote is taken, with its closing quote. False where its line ends before that.
static inline bool take_string(TSLexer *lexer, int32_t quote) {
  while (!at_line_end(lexer)) {
    int32_t c = next(lexer);
    take(lexer);
    if (c == quote) return true;
    if (c == '\\') {
      if (at_line_end(lexer)) return false;
      take(lexer);
    }
  }
  return false;
}

// The start of a word, kept to compare it with words that mean something. No such word is longer than this.
typedef struct {
  char text[24];
  unsigned length;
} Prefix;

static inline void keep(Prefix *prefix, int32_t c) {
  if (prefix->length < sizeof prefix->text) prefix->text[prefix->length] = c < 128 ? (char)c : '?';
  prefix->length++;
}

static inline void take_name(TSLexer *lexer, Prefix *prefix) {
  while (is_name(next(lexer))) {
    keep(prefix, next(lexer));
    take(lexer);
  }
}

static inline bool begins_with(const Prefix *prefix, const char *text) {
  unsigned length = 0;
  while (text[length] && length < prefix->length && prefix->text[length] == text[length]) length++;
  return !text[length];
}

static inline bool equals(const Prefix *prefix, const char *text) {
  unsigned length = 0;
  while (text[length]) length++;
  return prefix->length == length && begins_with(prefix, text);
}

#endif // NAMEL3SS_CHARACTERS_H_
